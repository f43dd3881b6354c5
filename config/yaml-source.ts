import {
  type Document,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type YAMLError,
} from 'yaml';
import { type ErrorCode, HubferryError } from '../registry/errors.js';
import { maskSecrets } from '../registry/secrets.js';
import type { Path } from './environment.js';

/** What YAML's own error codes mean, in our words: its messages may quote the source, which may be a secret. */
const FAULTS: Partial<Record<YAMLError['code'], string>> = {
  ALIAS_PROPS: 'an alias (*) cannot have a tag or an anchor',
  BAD_ALIAS: 'this is not a valid alias (*)',
  BAD_DQ_ESCAPE: 'a backslash in double quotes does not start a known escape',
  BAD_INDENT: 'the indentation is wrong',
  BAD_SCALAR_START: 'a plain value cannot start with this character; put it into quotes',
  BLOCK_AS_IMPLICIT_KEY: 'there is a second ":" on this line; put the value into quotes',
  DUPLICATE_KEY: 'this key is there twice',
  MISSING_CHAR: 'a quote, bracket, comma or space is missing',
  MULTILINE_IMPLICIT_KEY: 'a ":" is missing, or a line is indented wrongly',
  MULTIPLE_DOCS: 'there is more than one document in the file',
  TAB_AS_INDENT: 'tabs cannot be used for indentation',
  TAG_RESOLVE_FAILED: 'this tag (!) is not known',
};

/** A YAML text that knows where its values stand. */
export class YamlSource {
  readonly #name: string;
  readonly #code: ErrorCode;
  readonly #lines = new LineCounter();
  readonly #document: Document;

  /**
   * @param name how the file is called in messages
   * @param code of every error about it
   * @throws HubferryError with that code, line and column if the text is not YAML
   */
  constructor(name: string, text: string, code: ErrorCode = 'CONFIG_INVALID') {
    this.#name = name;
    this.#code = code;
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    const fault = this.#document.errors[0];
    if (fault !== undefined) throw this.#fault(fault);
  }

  /** The values as plain objects. @throws HubferryError where aliases are used to make it huge. */
  value(): unknown {
    try {
      return this.#document.toJS();
    } catch {
      throw new HubferryError(this.#code, `${this.#name}: its aliases (*) cannot be resolved`);
    }
  }

  /**
   * `file:line:column: dotted.path` of a value; of the nearest thing around it where it is missing. A key that looks
   * like a secret, put there by mistake, is masked.
   *
   * @param part whether the key or the value is meant, where both are there
   */
  where(path: Path, part: 'key' | 'value' = 'value'): string {
    const place = this.place(path, part);
    return path.length === 0 ? place : `${place}: ${dotted(path)}`;
  }

  /** `file:line:column` of a value, as {@link where} finds it. */
  place(path: Path, part: 'key' | 'value' = 'value'): string {
    return this.#at(this.#offset(path, part));
  }

  /** The offset in the text that {@link where} names: what comes first in the file comes first in a list of faults. */
  offset(path: Path): number {
    return this.#offset(path, 'value');
  }

  #offset(path: Path, part: 'key' | 'value'): number {
    let node: unknown = this.#document.contents;
    let offset = isNode(node) ? (node.range?.[0] ?? 0) : 0;
    for (const step of path) {
      if (isMap(node)) {
        const pair = node.items.find((item) => keyOf(item.key) === String(step));
        if (pair === undefined) return offset;
        if (isNode(pair.key)) offset = pair.key.range?.[0] ?? offset;
        node = pair.value;
      } else if (isSeq(node)) {
        node = node.items[Number(step)];
        if (isNode(node)) offset = node.range?.[0] ?? offset;
      } else {
        return offset;
      }
    }
    // A map is named by its key: its own start may be lines below.
    return part === 'value' && isScalar(node) ? (node.range?.[0] ?? offset) : offset;
  }

  #at(offset: number): string {
    const { line, col } = this.#lines.linePos(offset);
    return `${this.#name}:${Math.max(line, 1)}:${Math.max(col, 1)}`;
  }

  #fault(fault: YAMLError): HubferryError {
    const words = FAULTS[fault.code] ?? 'this is not valid YAML';
    return new HubferryError(this.#code, `${this.#at(fault.pos[0])}: ${words} (${fault.code})`);
  }
}

/** A path in words. Keys are the user's, and so may hold a whole connection string. */
export function dotted(path: Path): string {
  return maskSecrets(path.join('.'));
}

function keyOf(key: unknown): string {
  return String(isScalar(key) ? key.value : key);
}
