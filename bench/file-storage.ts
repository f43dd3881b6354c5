import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BlobWriter, Storage } from '../azure/storage.js';

/**
 * Containers as folders, blobs as files: for figures in which the transfer of blobs is not to count. It knows only what the
 * steps between two snapshots and a plan ask for.
 */
export function fileStorage(root: string): Storage {
  const folder = (container: string): string => join(root, container);
  // A name may be the beginning of others.
  const path = (container: string, blob: string): string => join(root, container, `${blob}${END}`);
  const known: Pick<
    Storage,
    | 'account'
    | 'createContainer'
    | 'containerExists'
    | 'deleteContainer'
    | 'list'
    | 'read'
    | 'readText'
    | 'sealer'
    | 'size'
    | 'writeText'
    | 'writer'
  > = {
    account: `file://${root}`,
    createContainer: async (name) => (await mkdir(folder(name), { recursive: true })) !== undefined,
    containerExists: async (name) => (await unlessMissing(stat(folder(name)))) !== null,
    deleteContainer: (name) => rm(folder(name), { recursive: true, force: true }),
    async *list(container, prefix = '') {
      for await (const name of filesIn(folder(container), prefix))
        yield { name, bytes: (await stat(path(container, name))).size };
    },
    size: async (container, blob) => (await unlessMissing(stat(path(container, blob))))?.size ?? null,
    read: async (container, blob, { offset = 0, count } = { offset: 0 }) => {
      if (count === 0) return (async function* () {})();
      const end = count === undefined ? {} : { end: offset + count - 1 };
      return createReadStream(path(container, blob), { start: offset, highWaterMark: 256 * 1024, ...end });
    },
    readText: (container, blob) => unlessMissing(readFile(path(container, blob), 'utf8')),
    writeText: async (container, blob, text) => {
      await mkdir(dirname(path(container, blob)), { recursive: true });
      await writeFile(path(container, blob), text);
      return true;
    },
    sealer: () => Promise.resolve(null),
    writer: (container, blob) => new FileWriter(path(container, blob)),
  };
  return known as Storage;
}

/** Of the name of a file. */
const END = '.blob';

/** The blobs whose names begin so, in order. */
async function* filesIn(folder: string, prefix: string): AsyncGenerator<string> {
  const inside = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  const entries = (await unlessMissing(readdir(join(folder, inside), { withFileTypes: true }))) ?? [];
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const name = `${inside}${entry.name}`;
    if (!name.startsWith(prefix)) continue;
    if (entry.isDirectory()) yield* filesIn(folder, `${name}/`);
    else yield name.slice(0, -END.length);
  }
}

const TEXT_UNITS = 32 * 1024;

/** Bytes that are written at once. */
const BLOCK_BYTES = 4 * 1024 * 1024;

class FileWriter implements BlobWriter {
  readonly #path: string;
  #file: FileHandle | undefined;
  #text = '';
  #parts: Buffer[] = [];
  #pending = 0;
  #written = 0;

  constructor(path: string) {
    this.#path = path;
  }

  get bytes(): number {
    this.#takeText();
    return this.#written + this.#pending;
  }

  write(data: string | Buffer): Promise<void> | void {
    if (typeof data === 'string') {
      this.#text += data;
      if (this.#text.length >= TEXT_UNITS) this.#takeText();
    } else {
      this.#takeText();
      this.#add(data);
    }
    return this.#pending < BLOCK_BYTES ? undefined : this.#send();
  }

  async close(): Promise<void> {
    this.#takeText();
    await this.#send();
    await this.#file?.close();
  }

  #takeText(): void {
    if (this.#text !== '') this.#add(Buffer.from(this.#text));
    this.#text = '';
  }

  #add(bytes: Buffer): void {
    this.#parts.push(bytes);
    this.#pending += bytes.length;
  }

  async #send(): Promise<void> {
    const parts = this.#parts;
    this.#parts = [];
    this.#written += this.#pending;
    this.#pending = 0;
    if (this.#file === undefined) {
      await mkdir(dirname(this.#path), { recursive: true });
      this.#file = await open(this.#path, 'w');
    }
    if (parts.length > 0) await this.#file.writev(parts);
  }
}

async function unlessMissing<T>(value: Promise<T>): Promise<T | null> {
  try {
    return await value;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}
