import * as fc from 'fast-check';
import {
  AUTHORITY,
  authentication,
  KEY_A,
  KEY_B,
  type LineParts,
  SAS,
  SELF_SIGNED,
  THUMBPRINT,
} from './records.js';

/** The seed of every property, so that a failing run is the same run again. */
export const SEEDED = { seed: 20_260_801, numRuns: 200 };

/** Ids as the service allows them, odd ones more often than in life. */
export const ids: fc.Arbitrary<string> = fc.string({
  unit: fc.constantFrom(...Array.from("abzABZ059-:.+%_#*?!(),=@;$'")),
  minLength: 1,
  maxLength: 20,
});

/** Texts of all kinds, lone surrogates and control characters among them. */
const texts = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom('{"id":"x"}', '}', '\\', '"', '\\"', '\u2028', ',"moduleId":"m"'),
);

/** A text as JSON, plainly or with every UTF-16 unit escaped. */
function stringText(text: string, escaped: boolean): string {
  if (!escaped) return JSON.stringify(text);
  const units = Array.from({ length: text.length }, (_, at) => text.charCodeAt(at));
  return `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')}"`;
}

const stringTexts = fc.tuple(texts, fc.boolean()).map(([text, escaped]) => stringText(text, escaped));

/** Numbers in spellings that do not survive `JSON.parse` and `JSON.stringify`. */
const numberTexts = fc.oneof(
  fc.constantFrom('0', '-0', '1.0', '1.50', '1e5', '1E-7', '1e400', '0.1000000000000000055', '1.7E+3'),
  fc.constantFrom('12345678901234567890', '9007199254740993', '-4503599627370497', '4503599627370495'),
  fc.integer().map(String),
);

const nameTexts = fc.oneof(
  { weight: 4, arbitrary: stringTexts },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '"__proto__"',
      '"constructor"',
      '"toString"',
      '"hasOwnProperty"',
      '""',
      '"id"',
    ),
  },
);

const spaces = fc.constantFrom('', '', '', ' ', '\t', '  ');

/** The text of a JSON object of any content, with odd spellings, spaces between its tokens and no name twice. */
export const objectTexts: fc.Arbitrary<string> = fc.letrec<{ value: string; object: string; list: string }>(
  (tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      stringTexts,
      numberTexts,
      fc.constantFrom('true', 'false', 'null', '{}', '[]'),
      tie('object'),
      tie('list'),
    ),
    object: fc
      .tuple(
        fc.uniqueArray(fc.tuple(nameTexts, tie('value')), {
          maxLength: 5,
          selector: ([name]): unknown => JSON.parse(name),
        }),
        spaces,
      )
      .map(
        ([members, space]) =>
          `{${space}${members.map(([name, value]) => `${name}${space}:${space}${value}`).join(`,${space}`)}${space}}`,
      ),
    list: fc
      .tuple(fc.array(tie('value'), { maxLength: 3 }), spaces)
      .map(([items, space]) => `[${space}${items.join(`${space},`)}]`),
  }),
).object;

export const authenticationTexts: fc.Arbitrary<string> = fc.constantFrom(
  SAS,
  SELF_SIGNED,
  AUTHORITY,
  authentication({ type: 'sas', keys: [KEY_B, KEY_A] }),
  authentication({ type: 'selfSigned', thumbprints: [THUMBPRINT, 'ab'] }),
);

/** Lines of devices and modules of every kind. */
export const lineParts: fc.Arbitrary<LineParts> = fc.record({
  id: ids,
  moduleId: fc.option(ids, { nil: undefined }),
  status: fc.constantFrom('enabled', 'disabled'),
  statusReason: fc.option(texts, { nil: undefined }),
  authenticationText: authenticationTexts,
  tagsText: objectTexts,
  desiredText: objectTexts,
  iotEdge: fc.boolean(),
  deviceScope: fc.option(texts, { nil: null }),
  parentScopes: fc.option(fc.array(texts, { maxLength: 2 }), { nil: undefined }),
});
