import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobWriter, Storage } from '../azure/storage.js';

/**
 * Containers as folders, blobs as files: for figures in which the transfer of blobs is not to count. It knows only what the
 * steps between two snapshots and a plan ask for.
 */
export function fileStorage(root: string): Storage {
  const path = (container: string, blob = ''): string => join(root, container, encodeURIComponent(blob));
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
    createContainer: async (name) => (await mkdir(path(name), { recursive: true })) !== undefined,
    containerExists: async (name) => (await unlessMissing(stat(path(name)))) !== null,
    deleteContainer: (name) => rm(path(name), { recursive: true, force: true }),
    async *list(container, prefix = '') {
      const names = (await unlessMissing(readdir(path(container)))) ?? [];
      for (const name of names.map(decodeURIComponent).toSorted())
        if (name.startsWith(prefix)) yield { name, bytes: (await stat(path(container, name))).size };
    },
    size: async (container, blob) => (await unlessMissing(stat(path(container, blob))))?.size ?? null,
    read: async (container, blob, { offset = 0, count } = { offset: 0 }) => {
      if (count === 0) return (async function* () {})();
      const end = count === undefined ? {} : { end: offset + count - 1 };
      return createReadStream(path(container, blob), { start: offset, highWaterMark: 256 * 1024, ...end });
    },
    readText: (container, blob) => unlessMissing(readFile(path(container, blob), 'utf8')),
    writeText: async (container, blob, text) => {
      await writeFile(path(container, blob), text);
      return true;
    },
    sealer: () => Promise.resolve(null),
    writer: (container, blob) => new FileWriter(path(container, blob)),
  };
  return known as Storage;
}

const TEXT_UNITS = 32 * 1024;

class FileWriter implements BlobWriter {
  readonly #path: string;
  #file: ReturnType<typeof createWriteStream> | undefined;
  #text = '';
  #bytes = 0;

  constructor(path: string) {
    this.#path = path;
  }

  get bytes(): number {
    return this.#bytes + Buffer.byteLength(this.#text);
  }

  write(data: string | Buffer): Promise<void> | void {
    if (typeof data === 'string') {
      this.#text += data;
      return this.#text.length < TEXT_UNITS ? undefined : this.#send(Buffer.from(this.#takeText()));
    }
    const text = this.#takeText();
    return this.#send(text === '' ? data : Buffer.concat([Buffer.from(text), data]));
  }

  async close(): Promise<void> {
    await this.#send(Buffer.from(this.#takeText()));
    const file = this.#open();
    file.end();
    await once(file, 'finish');
  }

  #takeText(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }

  #open(): ReturnType<typeof createWriteStream> {
    return (this.#file ??= createWriteStream(this.#path));
  }

  #send(bytes: Buffer): Promise<void> | void {
    this.#bytes += bytes.length;
    const file = this.#open();
    return file.write(bytes) ? undefined : once(file, 'drain').then(() => undefined);
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
