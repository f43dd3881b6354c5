import { describe, expect, it } from 'vitest';
import {
  type Configuration,
  type ConfigurationChange,
  compareConfigurations,
  configurationRefusal,
  configurationTexts,
  differingConfigurationFields,
  inOrderOfCreation,
  isUnfinished,
  parseConfiguration,
  printDesired,
  stepsOf,
} from '../../registry/configurations.js';

const read = (value: object): Configuration => parseConfiguration(JSON.stringify(value));
const device = (id: string, more: object = {}): Configuration =>
  read({
    id,
    content: { deviceContent: { 'properties.desired.a': 1 } },
    targetCondition: '*',
    priority: 1,
    createdTimeUtc: '2026-01-01T00:00:00Z',
    etag: 'MQ==',
    ...more,
  });
const sets = (path: string): object => ({
  content: { deviceContent: { [`properties.desired${path}`]: {} } },
});
const edge = (id: string, priority: number, agent: object, more: object = {}): Configuration =>
  device(id, { priority, content: { modulesContent: { $edgeAgent: agent } }, ...more });
const base = (id: string, priority: number): Configuration =>
  edge(id, priority, { 'properties.desired': { modules: {} } });
const layer = (id: string, priority: number): Configuration =>
  edge(id, priority, { [`properties.desired.modules.${id}`]: {} });

describe('what a hub is given', () => {
  const source =
    '{"id":"c","schemaVersion":"1.0","labels":{"x":"\\u00fc"},"content":{"deviceContent":' +
    '{"properties.desired.n":12345678901234567890.10}},"targetCondition":"tags.a=\'b\'","createdTimeUtc":"2026",' +
    '"lastUpdatedTimeUtc":"2027","priority":1e1,"systemMetrics":{"results":{},"queries":{}},' +
    '"metrics":{"results":{"m":3},"queries":{"m":"SELECT 1"}},"etag":"MQ=="}';

  it('is the source text of all that is not the service’s own', () => {
    expect(printDesired(parseConfiguration(source))).toBe(
      '{"id":"c","schemaVersion":"1.0","labels":{"x":"\\u00fc"},"content":{"deviceContent":' +
        '{"properties.desired.n":12345678901234567890.10}},"targetCondition":"tags.a=\'b\'",' +
        '"priority":1e1,"metrics":{"queries":{"m":"SELECT 1"}}}',
    );
  });

  it('says also what there is none of, so that an update clears it', () => {
    const bare = read({ id: 'c', labels: null, metrics: null, targetCondition: null, schemaVersion: null });
    expect(printDesired(bare)).toBe(
      '{"id":"c","labels":{},"content":{},"targetCondition":"","priority":0,"metrics":{"queries":{}}}',
    );
  });

  it('is the same, printed again', () => {
    const once = printDesired(parseConfiguration(source));
    expect(printDesired(parseConfiguration(once))).toBe(once);
  });

  it('has no target condition where it is not to act yet, and a label that says so', () => {
    const desired = device('c', { labels: { a: 'b' } });
    const unarmed = parseConfiguration(printDesired(desired, false));
    expect(unarmed).toMatchObject({ targetCondition: '', labels: { a: 'b', hubferry: 'unfinished' } });
    expect(isUnfinished(desired, unarmed)).toBe(true);
    expect(isUnfinished(desired, read({ ...JSON.parse(unarmed.text), priority: 2 }))).toBe(false);
    expect(isUnfinished(desired, desired)).toBe(false);
    // A user's own target condition of nothing is nobody's to change.
    expect(isUnfinished(desired, device('c', { labels: { a: 'b' }, targetCondition: '' }))).toBe(false);
  });
});

describe('what a hub answers', () => {
  it.each([
    ['[]', []],
    [' [ {"id":"a"} ,\n{"id":"b","x":[1,"]"]}]', ['{"id":"a"}', '{"id":"b","x":[1,"]"]}']],
    ['[1,true]', ['1', 'true']],
    ['{"Message":"no"}', null],
    ['[{"id":"a"}', null],
  ])('%j is read by the text of its items', (text, items) => expect(configurationTexts(text)).toEqual(items));

  it.each([
    ['not JSON', 'SNAPSHOT_LINE_NOT_JSON'],
    ['[]', 'SNAPSHOT_LINE_NOT_JSON'],
    ['{"id":""}', 'SNAPSHOT_LINE_NO_ID'],
    ['{"id":"c","labels":[]}', 'SNAPSHOT_LINE_BAD_FIELD'],
    ['{"id":"c","content":"secret"}', 'SNAPSHOT_LINE_BAD_FIELD'],
    ['{"id":"c","priority":"1"}', 'SNAPSHOT_LINE_BAD_FIELD'],
    ['{"id":"c","targetCondition":1}', 'SNAPSHOT_LINE_BAD_FIELD'],
  ])('%s is damaged', (text, code) => {
    expect(() => parseConfiguration(text)).toThrow(expect.objectContaining({ code }) as Error);
    expect(() => parseConfiguration(text)).not.toThrow(/secret/);
  });
});

describe('two configurations', () => {
  it.each<[string, object, string[]]>([
    [
      'nothing that counts',
      { etag: 'Mg==', createdTimeUtc: '1', schemaVersion: '2.0', systemMetrics: {} },
      [],
    ],
    ['results of metrics', { metrics: { results: { a: 1 }, queries: {} } }, []],
    ['how nothing is written', { labels: null, metrics: { queries: null } }, []],
    [
      'sections that say nothing',
      {
        content: {
          moduleContent: null,
          modulesContent: {},
          deviceContent: { 'properties.desired.a': 1.0 },
        },
      },
      [],
    ],
    ['content', { content: { deviceContent: { 'properties.desired.a': 2 } } }, ['content']],
    ['the kind of content', { content: { moduleContent: { 'properties.desired.a': 1 } } }, ['content']],
    ['the target condition', { targetCondition: '' }, ['targetCondition']],
    [
      'the rest',
      { priority: 2, labels: { a: 'b' }, metrics: { queries: { q: 'SELECT' } } },
      ['priority', 'labels', 'metrics'],
    ],
  ])('may differ in %s', (_what, change, fields) => {
    expect(differingConfigurationFields(device('c'), device('c', change))).toEqual(fields);
  });
});

it.each([
  ["a-1+%_*!'", null],
  ['a'.repeat(128), null],
  ['a'.repeat(129), 'CONFIGURATION_ID_INVALID'],
  ['Upper', 'CONFIGURATION_ID_INVALID'],
  ['a.b', 'CONFIGURATION_ID_INVALID'],
])('the id %s is refused with %s', (id, code) =>
  expect(configurationRefusal(device(id))?.code ?? null).toBe(code),
);

it('the order of creation counts what is finer than a millisecond, and keeps the order of the rest', () => {
  const at = (id: string, createdTimeUtc: string): Configuration => device(id, { createdTimeUtc });
  const list = [
    at('d', '2026-01-01T00:00:00.1234568Z'),
    at('c', '2026-01-01T00:00:00.1234567Z'),
    at('b', '2026-01-01T00:00:00.123Z'),
    at('x', '2026-01-01T00:00:00.1234568Z'),
    at('a', '2025-12-31T23:59:59.9999999Z'),
    at('0', 'never'),
  ];
  expect(inOrderOfCreation(list).map(({ id }) => id)).toEqual(['0', 'a', 'b', 'c', 'd', 'x']);
});

describe('desired against actual', () => {
  const desired = [
    device('new'),
    device('same'),
    device('content', sets('.b')),
    device('rank', { priority: 9, content: sets('.c') }),
  ];
  const actual = [
    device('same', { etag: 'OQ==' }),
    device('content', sets('.other')),
    device('rank', { priority: 1, content: sets('.c') }),
    device('stranger', sets('.z')),
  ];
  const ids = (list: readonly { id: string }[]): string[] => list.map(({ id }) => id);
  const acts = (changes: readonly ConfigurationChange[]): string[] =>
    changes.map(({ act, desired: { id } }) => `${act} ${id}`);

  it('under fail, only what is missing is made, and what differs is a conflict', () => {
    const plan = compareConfigurations(desired, actual, 'fail');
    expect(acts(plan.changes)).toEqual(['create new']);
    expect(ids(plan.equal)).toEqual(['same']);
    expect(ids(plan.conflict)).toEqual(['content', 'rank']);
    expect(ids(plan.extra)).toEqual(['stranger']);
  });

  it('under skip, what differs is kept', () => {
    const plan = compareConfigurations(desired, actual, 'skip');
    expect(acts(plan.changes)).toEqual(['create new']);
    expect(ids(plan.kept)).toEqual(['content', 'rank']);
    expect(plan.conflict).toEqual([]);
  });

  it('under overwrite, only another content takes a delete', () => {
    const plan = compareConfigurations(desired, actual, 'overwrite');
    expect(acts(plan.changes)).toEqual(['create new', 'replace content', 'update rank']);
  });
});

describe('ties', () => {
  const at = (one: Configuration, day: number): Configuration =>
    parseConfiguration(
      JSON.stringify({ ...JSON.parse(one.text), createdTimeUtc: `2026-01-0${day}T00:00:00Z` }),
    );
  const tiesOf = (desired: Configuration[], actual: Configuration[]) =>
    compareConfigurations(desired, actual, 'overwrite').ties.map((pair) => pair.join('<'));

  it('are kept where all are made', () => expect(tiesOf([device('b'), device('a')], [])).toEqual([]));

  it('come out another way where the newer one was there before', () => {
    expect(tiesOf([device('a'), device('b')], [device('b')])).toEqual(['b<a']);
  });

  it('come out as on the source where the target had them another way, and all are replaced', () => {
    const other = sets('.a');
    expect(
      tiesOf([device('a'), device('b')], [at(device('b', other), 1), at(device('a', other), 2)]),
    ).toEqual([]);
  });

  it('with one that only the target has are measured by how it was there', () => {
    const replaced = [at(device('a', sets('.a.b')), 1), at(device('theirs'), 2)];
    expect(tiesOf([device('a')], replaced)).toEqual(['theirs<a']);
    expect(
      tiesOf(
        [device('a')],
        replaced.toReversed().map((one, day) => at(one, day + 1)),
      ),
    ).toEqual([]);
  });

  it.each([
    ['have other priorities', device('b', { priority: 2 })],
    ['set other values', device('b', sets('.b'))],
    ['are of another kind', read({ ...JSON.parse(device('b').text), content: { moduleContent: {} } })],
  ])('are none where the two %s', (_what, b) => expect(tiesOf([device('a'), b], [b])).toEqual([]));

  it.each([
    ['a value within the other', device('b', sets('.a.c'))],
    ['all', device('b', sets(''))],
  ])('are some where one sets %s', (_what, b) => expect(tiesOf([device('a'), b], [b])).toEqual(['b<a']));

  it('of deployments are between bases, or between layers that set the same', () => {
    expect(tiesOf([base('a', 1), base('b', 1)], [base('b', 1)])).toEqual(['b<a']);
    expect(tiesOf([layer('a', 1), layer('b', 1)], [layer('b', 1)])).toEqual([]);
    expect(tiesOf([layer('a', 1), base('b', 1)], [base('b', 1)])).toEqual([]);
  });
});

describe('the calls', () => {
  const stepsFor = (desired: Configuration[], actual: Configuration[] = []): string[] =>
    stepsOf(compareConfigurations(desired, actual, 'overwrite').changes).map((step) =>
      step.do === 'finish'
        ? `finish ${step.change.desired.id}`
        : `${step.armed ? 'make' : 'make unarmed'} ${step.change.desired.id}`,
    );
  const ranked = (id: string, priority: number, more: object = {}): Configuration =>
    device(id, { priority, ...more });

  it('make each at once where none wins over one that was made before', () => {
    expect(stepsFor([ranked('c', 3), ranked('a', 2), ranked('b', 1)])).toEqual([
      'make c',
      'make a',
      'make b',
    ]);
    expect(stepsFor([ranked('a', 1), ranked('b', 2, sets('.b'))])).toEqual(['make a', 'make b']);
    expect(stepsFor([ranked('a', 1, { targetCondition: '' }), ranked('b', 2)])).toEqual(['make a', 'make b']);
  });

  it('arm losers after winners, the strongest first; of a tie the newer one is the stronger', () => {
    expect(stepsFor([ranked('a', 1), ranked('b', 1), ranked('c', 3), ranked('d', 2)])).toEqual([
      'make unarmed a',
      'make unarmed b',
      'make c',
      'make d',
      'finish b',
      'finish a',
    ]);
  });

  it('arm a base deployment after its layers', () => {
    expect(stepsFor([base('a', 1), layer('b', 2)])).toEqual(['make unarmed a', 'make b', 'finish a']);
  });

  it('update before what the updated one wins over is armed', () => {
    expect(stepsFor([ranked('a', 1), ranked('b', 5)], [ranked('b', 4)])).toEqual([
      'make unarmed a',
      'finish b',
      'finish a',
    ]);
  });

  it('are none where nothing is due', () => expect(stepsOf([])).toEqual([]));
});
