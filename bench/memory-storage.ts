import type { BlobWriter, Storage } from '../azure/storage.js';

/**
 * Containers and blobs in memory, which is there from the beginning: for figures in which the transfer of blobs is not to count. It knows only what the steps
 * between two snapshots and a plan ask for.
 *
 * @param bytes of all that is ever written
 */
export function memoryStorage(bytes: number): Storage {
  // Touched before it counts: memory that a process has for the first time costs more than to write there.
  const memory = new Memory(bytes);
  const containers = new Map<string, Map<string, Buffer[]>>();
  const blobs = (container: string): Map<string, Buffer[]> => {
    const found = containers.get(container) ?? new Map<string, Buffer[]>();
    containers.set(container, found);
    return found;
  };
  const sizeOf = (parts: readonly Buffer[]): number => parts.reduce((sum, { length }) => sum + length, 0);
  const known: Pick<
    Storage,
    'account' | 'createContainer' | 'list' | 'read' | 'readText' | 'size' | 'writeText' | 'writer'
  > = {
    account: 'memory',
    createContainer: (name) => Promise.resolve(blobs(name).size === 0),
    async *list(container, prefix = '') {
      for (const [name, parts] of [...blobs(container)].toSorted(([a], [b]) => (a < b ? -1 : 1)))
        if (name.startsWith(prefix)) yield { name, bytes: sizeOf(parts) };
    },
    size: (container, blob) => {
      const parts = blobs(container).get(blob);
      return Promise.resolve(parts === undefined ? null : sizeOf(parts));
    },
    read: (container, blob, { offset = 0, count = Number.POSITIVE_INFINITY } = { offset: 0 }) =>
      Promise.resolve(range(blobs(container).get(blob) ?? [], offset, offset + count)),
    readText: (container, blob) => Promise.resolve(blobs(container).get(blob)?.map(String).join('') ?? null),
    writeText: (container, blob, text) => {
      blobs(container).set(blob, [Buffer.from(text)]);
      return Promise.resolve(true);
    },
    writer: (container, blob) => new MemoryWriter(memory, (parts) => blobs(container).set(blob, parts)),
  };
  return known as Storage;
}

/** The bytes from one place to another, as they were written. */
async function* range(parts: readonly Buffer[], from: number, to: number): AsyncGenerator<Buffer> {
  let at = 0;
  for (const part of parts) {
    const [start, end] = [Math.max(0, from - at), Math.min(part.length, to - at)];
    at += part.length;
    if (start < end) yield part.subarray(start, end);
  }
}

/** Text that is put into bytes at once, in UTF-16 units. */
const TEXT_UNITS = 32 * 1024;

const SLAB = 64 * 1024 * 1024;

class Memory {
  readonly #slabs: Buffer[];

  constructor(bytes: number) {
    this.#slabs = Array.from({ length: Math.ceil(bytes / SLAB) }, () => Buffer.alloc(SLAB, 1));
  }

  /** A copy of some bytes, in one piece or in several. */
  *copied(bytes: Buffer): Generator<Buffer> {
    for (let rest = bytes; rest.length > 0; ) {
      const [slab] = this.#slabs;
      if (slab === undefined) throw new RangeError('more was written than was asked for');
      const size = rest.copy(slab);
      yield slab.subarray(0, size);
      rest = rest.subarray(size);
      if (size < slab.length) this.#slabs[0] = slab.subarray(size);
      else this.#slabs.shift();
    }
  }
}

class MemoryWriter implements BlobWriter {
  readonly #memory: Memory;
  readonly #keep: (parts: Buffer[]) => void;
  readonly #parts: Buffer[] = [];
  #bytes = 0;
  #text = '';

  constructor(memory: Memory, keep: (parts: Buffer[]) => void) {
    this.#memory = memory;
    this.#keep = keep;
  }

  get bytes(): number {
    this.#takeText();
    return this.#bytes;
  }

  write(data: string | Buffer): void {
    if (typeof data === 'string') {
      this.#text += data;
      if (this.#text.length >= TEXT_UNITS) this.#takeText();
      return;
    }
    this.#takeText();
    this.#add(data);
  }

  close(): Promise<void> {
    this.#takeText();
    this.#keep(this.#parts);
    return Promise.resolve();
  }

  #takeText(): void {
    if (this.#text === '') return;
    this.#add(Buffer.from(this.#text));
    this.#text = '';
  }

  #add(bytes: Buffer): void {
    this.#parts.push(...this.#memory.copied(bytes));
    this.#bytes += bytes.length;
  }
}
