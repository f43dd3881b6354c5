import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import type { Key } from './key-ring.js';

/**
 * How a blob is sealed: a header, then the plain bytes in frames of one size, each AES-256-GCM, the last one marked as
 * such. There is always a last one, of an empty blob too.
 *
 *     header  magic 8 · version 1 · length of the key id 1 · key id 64, filled up with zeros · frame bytes 4 · salt 32
 *     frame   ciphertext · tag 16
 *
 * Every blob has a key of its own, made from the key and its salt by HKDF-SHA-256, so a nonce need only differ within the
 * blob: it is the frame's number and whether it is the last. The header's digest, number and mark are authenticated with
 * each frame. So no frame opens that was changed, moved, taken from another blob, or made the last by a cut; and none is
 * the last before which something is missing.
 */
const MAGIC = Buffer.from('\u0089HFSEAL\n', 'latin1');

const VERSION = 1;
const ID_BYTES = 64;
const SALT_BYTES = 32;
const TAG_BYTES = 16;

const AT = { version: 8, idLength: 9, id: 10, frame: 10 + ID_BYTES, salt: 14 + ID_BYTES } as const;

/** Bytes before the first frame. */
export const HEADER_BYTES = AT.salt + SALT_BYTES;

/** Plain bytes of every frame but the last, which holds what is left. */
export const FRAME_BYTES = 64 * 1024;

/** Frames of other releases: no more is held in memory for anybody's header. */
const FRAME_BYTES_MAX = 16 * 1024 * 1024;

/** Something that is no sealed blob as it was written. The message says what is wrong, after "it". */
export class SealFault extends Error {}

/** Whether bytes are the beginning of a sealed blob. No JSON, and no UTF-8, begins like that. */
export function isSealed(bytes: Buffer): boolean {
  return bytes.subarray(0, MAGIC.length).equals(MAGIC);
}

/** Seals one blob, frame by frame. Two of the same data have nothing in common. */
export class Sealer {
  /** Comes first. */
  readonly header: Buffer;
  /** Told apart by it: no other blob has the same. */
  readonly salt: Buffer;
  readonly frameBytes: number;
  readonly #frames: Frames;
  #next = 0;

  constructor({ id, bytes }: Key, frameBytes = FRAME_BYTES) {
    const idBytes = Buffer.from(id, 'utf8');
    if (idBytes.length === 0 || idBytes.length > ID_BYTES)
      throw new RangeError(`a key id has 1 to ${ID_BYTES} bytes`);
    this.salt = randomBytes(SALT_BYTES);
    this.frameBytes = frameBytes;
    this.header = Buffer.alloc(HEADER_BYTES);
    MAGIC.copy(this.header);
    this.header[AT.version] = VERSION;
    this.header[AT.idLength] = idBytes.length;
    idBytes.copy(this.header, AT.id);
    this.header.writeUInt32BE(frameBytes, AT.frame);
    this.salt.copy(this.header, AT.salt);
    this.#frames = new Frames(bytes, this.header);
  }

  /** The next frame, in pieces. @param plain exactly `frameBytes`; of the last one at most as many, and none only of an empty blob */
  frame(plain: Buffer, last: boolean): readonly Buffer[] {
    const index = this.#next;
    this.#next += 1;
    return this.#frames.seal(index, last, plain);
  }
}

/** Bytes of a small blob, sealed. */
export function sealed(key: Key, plain: Buffer, frameBytes = FRAME_BYTES): Buffer {
  const sealer = new Sealer(key, frameBytes);
  const parts = [sealer.header];
  let at = 0;
  for (; plain.length - at > frameBytes; at += frameBytes)
    parts.push(...sealer.frame(plain.subarray(at, at + frameBytes), false));
  parts.push(...sealer.frame(plain.subarray(at), true));
  return Buffer.concat(parts);
}

/** A part of a sealed blob that holds a range of its plain bytes. */
export interface SealedRange {
  /** In the sealed blob. */
  readonly offset: number;
  readonly count: number;
  readonly firstFrame: number;
  /** Plain bytes at the beginning of the first frame that do not belong to the range. */
  readonly skip: number;
  /** Plain bytes of the range. */
  readonly bytes: number;
}

/** A sealed blob that is read: its header, and its length. */
export class Opener {
  readonly frameBytes: number;
  /** Plain bytes of the whole blob. */
  readonly bytes: number;
  readonly #frames: Frames;
  readonly #count: number;
  readonly #total: number;

  /**
   * @param header at least the first `HEADER_BYTES`
   * @param total of the sealed blob
   * @param find the key of an id
   * @throws SealFault; what `find` throws
   */
  constructor(header: Buffer, total: number, find: (id: string) => Key) {
    if (!isSealed(header)) throw new SealFault('does not begin as one');
    if (header.length < HEADER_BYTES) throw new SealFault('was cut');
    const version = header[AT.version];
    if (version !== VERSION) throw new SealFault(`has a form that is not known here (${version})`);
    const idBytes = header[AT.idLength] ?? 0;
    this.frameBytes = header.readUInt32BE(AT.frame);
    const padding = header.subarray(AT.id + idBytes, AT.id + ID_BYTES);
    const wrongSize = this.frameBytes === 0 || this.frameBytes > FRAME_BYTES_MAX;
    if (idBytes === 0 || idBytes > ID_BYTES || wrongSize || padding.some((byte) => byte !== 0))
      throw new SealFault('has a header that was changed');
    const bytes = plainBytes(total, this.frameBytes);
    if (bytes === null) throw new SealFault('was cut');
    this.bytes = bytes;
    this.#total = total;
    this.#count = framesOf(total, this.frameBytes);
    const { bytes: key } = find(header.toString('utf8', AT.id, AT.id + idBytes));
    this.#frames = new Frames(key, header.subarray(0, HEADER_BYTES));
  }

  /**
   * Where a range of plain bytes is. One that reaches the end, or lies past it, has the last frame in it, so that a cut is
   * seen. Without a count: to the end.
   */
  range(offset: number, count = Number.POSITIVE_INFINITY): SealedRange {
    const from = Math.min(offset, this.bytes);
    const to = Math.min(from + count, this.bytes);
    const firstFrame = Math.min(Math.floor(from / this.frameBytes), this.#count - 1);
    const end = Math.max(Math.ceil(to / this.frameBytes), firstFrame + 1);
    const start = this.#startOf(firstFrame);
    const skip = from - firstFrame * this.frameBytes;
    return { offset: start, count: this.#startOf(end) - start, firstFrame, skip, bytes: to - from };
  }

  /**
   * The plain bytes of a range. Those of a frame are given when it has proven to be what was written.
   *
   * @param chunks the bytes at that place of the sealed blob, in any pieces
   * @throws SealFault
   */
  async *open(chunks: AsyncIterable<Buffer>, range: SealedRange): AsyncGenerator<Buffer> {
    let frame = range.firstFrame;
    let { skip, bytes: left } = range;
    let read = 0;
    // One frame that came in several pieces; kept, since memory for each would be collected all the time.
    const held = Buffer.allocUnsafe(Math.min(this.frameBytes + TAG_BYTES, range.count));
    let heldBytes = 0;
    for await (const chunk of chunks) {
      for (let at = 0; read < range.count; ) {
        const size = this.#startOf(frame + 1) - this.#startOf(frame);
        const whole = heldBytes === 0 && chunk.length - at >= size;
        const taken = whole ? size : chunk.copy(held, heldBytes, at, at + size - heldBytes);
        const bytes = whole ? chunk.subarray(at, at + size) : held.subarray(0, size);
        at += taken;
        heldBytes += whole ? size : taken;
        if (heldBytes < size) break;
        heldBytes = 0;
        const plain = this.#frames.open(frame, frame === this.#count - 1, bytes);
        read += size;
        frame += 1;
        const wanted = plain.subarray(skip, skip + left);
        skip = Math.max(0, skip - plain.length);
        left -= wanted.length;
        if (wanted.length > 0) yield wanted;
      }
    }
    if (read < range.count) throw new SealFault('was cut');
  }

  #startOf(frame: number): number {
    return Math.min(HEADER_BYTES + frame * (this.frameBytes + TAG_BYTES), this.#total);
  }
}

/** The plain bytes of a sealed blob of a length, or null where no blob has that length. */
export function plainBytes(total: number, frameBytes = FRAME_BYTES): number | null {
  const frames = framesOf(total, frameBytes);
  const bytes = total - HEADER_BYTES - frames * TAG_BYTES;
  const ofLast = bytes - (frames - 1) * frameBytes;
  // Only an empty blob has a frame without content.
  return ofLast >= (frames === 1 ? 0 : 1) ? bytes : null;
}

function framesOf(total: number, frameBytes: number): number {
  return Math.max(1, Math.ceil((total - HEADER_BYTES) / (frameBytes + TAG_BYTES)));
}

/** Frames of one blob, under its own key. */
class Frames {
  readonly #key: Buffer;
  readonly #digest: Buffer;

  constructor(key: Buffer, header: Buffer) {
    const salt = header.subarray(AT.salt, HEADER_BYTES);
    this.#key = Buffer.from(hkdfSync('sha256', key, salt, 'hubferry sealed blob', 32));
    this.#digest = createHash('sha256').update(header).digest();
  }

  seal(index: number, last: boolean, plain: Buffer): readonly Buffer[] {
    const place = placeOf(index, last);
    const cipher = createCipheriv('aes-256-gcm', this.#key, place, { authTagLength: TAG_BYTES });
    cipher.setAAD(Buffer.concat([this.#digest, place]));
    const ciphertext = cipher.update(plain);
    cipher.final(); // a stream cipher: there is nothing left
    return [ciphertext, cipher.getAuthTag()];
  }

  /** @throws SealFault */
  open(index: number, last: boolean, frame: Buffer): Buffer {
    const place = placeOf(index, last);
    const decipher = createDecipheriv('aes-256-gcm', this.#key, place, { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.concat([this.#digest, place]));
    decipher.setAuthTag(frame.subarray(frame.length - TAG_BYTES));
    const plain = decipher.update(frame.subarray(0, frame.length - TAG_BYTES));
    try {
      decipher.final();
    } catch {
      throw new SealFault('was changed or cut, or another key has this id here');
    }
    return plain;
  }
}

/** The nonce of a frame: 12 bytes that say which one it is. */
function placeOf(index: number, last: boolean): Buffer {
  const place = Buffer.alloc(12);
  place[0] = last ? 1 : 0;
  place.writeBigUInt64BE(BigInt(index), 4);
  return place;
}
