import { RUN_CONTAINERS } from '../registry/containers.js';
import { HubferryError } from '../registry/errors.js';
import type { Key, KeyRing } from './key-ring.js';
import {
  FRAME_BYTES,
  HEADER_BYTES,
  isSealed,
  Opener,
  plainBytes,
  Sealer,
  SealFault,
  sealed,
} from './sealed-frames.js';
import { textOf } from './storage-errors.js';
import type {
  BlobCondition,
  BlobFacts,
  BlobPlace,
  BlobWriter,
  Custody,
  ForHub,
  GrantedAccess,
  RawStorage,
  Storage,
} from './storage-port.js';

/** By it the account tells sealed blobs from others; what is read is judged by its own beginning, too. */
const SEALED_TYPE = 'application/vnd.hubferry.sealed';

/**
 * A storage account in which what runs keep for themselves is sealed: all blobs in their containers but those that a hub
 * is to read. The container that runs share is not: it holds no secret, and people look into it. What was written before
 * there was a key is read as it is.
 *
 * @param keys without a current one nothing is sealed, but what is sealed can be read with the others
 */
export function sealedStorage(raw: RawStorage, keys: KeyRing): Storage {
  return new SealedStorage(raw, keys);
}

class SealedStorage implements Storage {
  readonly #raw: RawStorage;
  readonly #keys: KeyRing;

  constructor(raw: RawStorage, keys: KeyRing) {
    this.#raw = raw;
    this.#keys = keys;
  }

  get account(): string {
    return this.#raw.account;
  }

  get home(): string | null {
    return this.#raw.home;
  }

  get access(): GrantedAccess {
    return this.#raw.access;
  }

  get custody(): Custody {
    return this.#raw.custody;
  }

  createContainer(name: string): Promise<boolean> {
    return this.#raw.createContainer(name);
  }

  deleteContainer(name: string): Promise<void> {
    return this.#raw.deleteContainer(name);
  }

  containerExists(name: string): Promise<boolean> {
    return this.#raw.containerExists(name);
  }

  listContainers(prefix: string): AsyncIterable<string> {
    return this.#raw.listContainers(prefix);
  }

  async *list(container: string, prefix?: string): AsyncGenerator<{ name: string; bytes: number }> {
    for await (const { name, ...facts } of this.#raw.list(container, prefix))
      yield { name, bytes: sizeOf({ container, blob: name }, facts) };
  }

  async size(container: string, blob: string): Promise<number | null> {
    const facts = await this.#raw.facts(container, blob);
    return facts && sizeOf({ container, blob }, facts);
  }

  async read(
    container: string,
    blob: string,
    range: { offset: number; count?: number } = { offset: 0 },
  ): Promise<AsyncIterable<Buffer>> {
    if (!isOfRun(container) || range.count === 0) return await this.#raw.read(container, blob, range);
    const whole = range.offset === 0 && range.count === undefined;
    const body = await this.#raw.read(container, blob, whole ? range : { offset: 0, count: HEADER_BYTES });
    // A range of an empty blob brings nothing, and nothing of the blob.
    const facts = body.facts ?? (await this.#raw.facts(container, blob));
    const bytes = new Peekable(body);
    const head = await bytes.peek(HEADER_BYTES);
    const place = { container, blob };
    if (facts === null || !isSealed(head)) {
      if (facts?.contentType === SEALED_TYPE) {
        await bytes.close();
        throw broken(place, new SealFault('does not begin as one'));
      }
      return whole ? bytes.rest() : await this.#raw.read(container, blob, range);
    }
    try {
      const opener = new Opener(head, facts.bytes, (id) => this.#find(place, id));
      const part = opener.range(range.offset, range.count);
      if (whole) return opened(place, opener.open(bytes.rest(HEADER_BYTES), part));
      const { offset, count } = part;
      const { etag } = facts;
      const frames = await this.#raw.read(container, blob, { offset, count, etag });
      return opened(place, opener.open(frames, part));
    } catch (error) {
      await bytes.close();
      throw error instanceof SealFault ? broken(place, error) : error;
    }
  }

  async readText(container: string, blob: string): Promise<string | null> {
    return await textOf(() => this.read(container, blob));
  }

  async writeText(
    container: string,
    blob: string,
    text: string,
    { forHub, ...options }: ForHub & { onlyIfAbsent?: boolean } & BlobCondition = {},
  ): Promise<boolean> {
    const key = this.#keyFor(container, forHub);
    if (key === null) return await this.#raw.writeText(container, blob, text, options);
    const bytes = sealed(key, Buffer.from(text, 'utf8'));
    return await this.#raw.write(container, blob, bytes, { ...options, contentType: SEALED_TYPE });
  }

  writer(
    container: string,
    blob: string,
    { forHub, ...options }: ForHub & { blockBytes?: number } = {},
  ): BlobWriter {
    const key = this.#keyFor(container, forHub);
    if (key === null) return this.#raw.writer(container, blob, options);
    return this.#sealing(key, { container, blob }, options);
  }

  async sealer(container: string, blob: string): Promise<BlobWriter | null> {
    const key = this.#keyFor(container);
    if (key === null) return null;
    const facts = await this.#raw.facts(container, blob);
    return facts?.contentType === SEALED_TYPE ? null : this.#sealing(key, { container, blob });
  }

  readTagged(container: string, blob: string): Promise<{ text: string; etag: string } | null> {
    return this.#raw.readTagged(container, blob);
  }

  deleteBlob(container: string, blob: string, condition?: BlobCondition): Promise<boolean> {
    return this.#raw.deleteBlob(container, blob, condition);
  }

  lease(container: string, blob: string, lease: string): Promise<boolean> {
    return this.#raw.lease(container, blob, lease);
  }

  breakLease(container: string, blob: string, etag: string): Promise<void> {
    return this.#raw.breakLease(container, blob, etag);
  }

  copy(from: BlobPlace, to: BlobPlace): Promise<void> {
    return this.#raw.copy(from, to);
  }

  #sealing(key: Key, { container, blob }: BlobPlace, options: { blockBytes?: number } = {}): BlobWriter {
    const sealer = new Sealer(key);
    const series = sealer.salt.subarray(0, SERIES_BYTES);
    const out = this.#raw.writer(container, blob, { ...options, contentType: SEALED_TYPE, series });
    return new SealedWriter(sealer, out);
  }

  #keyFor(container: string, forHub = false): Key | null {
    return forHub || !isOfRun(container) ? null : this.#keys.current;
  }

  /** @throws HubferryError KEY_UNKNOWN */
  #find({ container, blob }: BlobPlace, id: string): Key {
    try {
      return this.#keys.find(id);
    } catch (error) {
      if (!(error instanceof HubferryError)) throw error;
      throw new HubferryError(error.code, `${container}/${blob}: ${error.message}`, error.hint);
    }
  }
}

/** Of what blocks are told apart by: how many there are is at most 2^24. */
const SERIES_BYTES = 6;

const isOfRun = (container: string): boolean => container.startsWith(RUN_CONTAINERS);

/** Plain bytes of a blob, as far as the account tells. @throws HubferryError SEAL_BROKEN */
function sizeOf(place: BlobPlace, { bytes, contentType }: Pick<BlobFacts, 'bytes' | 'contentType'>): number {
  if (contentType !== SEALED_TYPE || !isOfRun(place.container)) return bytes;
  const plain = plainBytes(bytes);
  if (plain === null) throw broken(place, new SealFault('was cut'));
  return plain;
}

function broken({ container, blob }: BlobPlace, { message }: SealFault): HubferryError {
  return new HubferryError('SEAL_BROKEN', `${container}/${blob} is not what was sealed: it ${message}.`);
}

/** The same bytes; what is wrong with them in our words. */
async function* opened(place: BlobPlace, bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* bytes;
  } catch (error) {
    throw error instanceof SealFault ? broken(place, error) : error;
  }
}

/** Cuts what it is given into frames, and hands them on sealed. */
class SealedWriter implements BlobWriter {
  readonly #sealer: Sealer;
  readonly #out: BlobWriter;
  /** What is not sealed yet: it is known to be the end only at `close`. */
  readonly #frame = Buffer.allocUnsafe(FRAME_BYTES);
  #held = 0;
  #bytes = 0;
  #open = true;
  /** What is sealed and not handed on. */
  #sealed: Buffer[];

  constructor(sealer: Sealer, out: BlobWriter) {
    this.#sealer = sealer;
    this.#out = out;
    this.#sealed = [sealer.header];
  }

  get bytes(): number {
    return this.#bytes;
  }

  write(data: string | Buffer): Promise<void> | void {
    if (!this.#open) throw new Error('the blob is already closed');
    this.#bytes += typeof data === 'string' ? this.#addText(data) : this.#add(data);
    return this.#sealed.length > 0 ? this.#handOn() : undefined;
  }

  async close(): Promise<void> {
    if (!this.#open) throw new Error('the blob is already closed');
    this.#open = false;
    this.#seal(true);
    await this.#handOn();
    await this.#out.close();
  }

  /** Most of what is written is lines much shorter than a frame: they are encoded where they belong. */
  #addText(text: string): number {
    if (text.length * UTF8_MAX > FRAME_BYTES - this.#held) return this.#add(Buffer.from(text, 'utf8'));
    const bytes = this.#frame.write(text, this.#held);
    this.#held += bytes;
    return bytes;
  }

  #add(piece: Buffer): number {
    for (let at = 0; at < piece.length; ) {
      if (this.#held === FRAME_BYTES) this.#seal(false);
      const taken = piece.copy(this.#frame, this.#held, at);
      this.#held += taken;
      at += taken;
    }
    return piece.length;
  }

  #seal(last: boolean): void {
    this.#sealed.push(...this.#sealer.frame(this.#frame.subarray(0, this.#held), last));
    this.#held = 0;
  }

  #handOn(): Promise<void> | void {
    const waits = this.#sealed.map((piece) => this.#out.write(piece)).filter((wait) => wait !== undefined);
    this.#sealed = [];
    return waits.length === 0 ? undefined : Promise.all(waits).then(() => undefined);
  }
}

/** Bytes of UTF-8 that a unit of a string takes at most. */
const UTF8_MAX = 3;

/** The bytes of a stream, of which the first can be looked at before. */
class Peekable {
  readonly #chunks: AsyncIterator<Buffer>;
  #held = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The first `count` bytes, or fewer where there are no more; others may follow. */
  async peek(count: number): Promise<Buffer> {
    while (this.#held.length < count) {
      const { done, value } = await this.#chunks.next();
      if (done === true) break;
      this.#held = Buffer.concat([this.#held, value]);
    }
    return this.#held;
  }

  /** All bytes from an offset on that was looked at. */
  async *rest(offset = 0): AsyncGenerator<Buffer> {
    try {
      if (this.#held.length > offset) yield this.#held.subarray(offset);
      for (;;) {
        const { done, value } = await this.#chunks.next();
        if (done === true) return;
        yield value;
      }
    } finally {
      await this.close();
    }
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}
