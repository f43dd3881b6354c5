import { createHmac, randomBytes } from 'node:crypto';
import type { Storage } from '../azure/storage.js';
import { type Change, makesKeys, parseChange, writesKeys } from '../registry/change.js';
import { HubferryError } from '../registry/errors.js';
import { type Identity, identityOfLine, parseDesiredLine } from '../registry/line.js';
import { type Keys, lineIsToGenerate, withNewKeys } from '../registry/new-keys.js';
import { type Authentication, type RecordKey, recordKey } from '../registry/record.js';
import type { Deps } from './deps.js';
import { allOwnLines, ownLines, workBlob } from './work.js';

/** Bytes of a key, as hubs make them, and of the secret that a run makes its keys from. */
const BYTES = 32;

/** Makes the secret of a run's new keys, once, however often it is tried. */
export async function makeKeySecret(storage: Storage, work: string): Promise<void> {
  const secret = randomBytes(BYTES).toString('base64');
  await storage.writeText(work, workBlob.keySecret, secret, { onlyIfAbsent: true });
}

/**
 * The new keys of a run: made from a secret that lives in its private container and dies with it, so that each record
 * has the same keys in every attempt and repair round, and no list of them has to be looked into.
 */
export class NewKeys {
  readonly #storage: Storage;
  readonly #work: string;
  #secret: Promise<string | null> | undefined;

  constructor(storage: Storage, work: string) {
    this.#storage = storage;
    this.#work = work;
  }

  /** A change as it is sent: with keys where they are to be made. @throws HubferryError INTERNAL without a secret */
  async filled(change: Change): Promise<Change> {
    if (!lineIsToGenerate(change.line)) return change;
    const { primaryKey, secondaryKey } = await this.of(change.line);
    return { ...change, line: withNewKeys(change.line, primaryKey, secondaryKey) };
  }

  /** The keys of the record of a desired line. @throws HubferryError INTERNAL without a secret */
  async of(line: string): Promise<Keys> {
    return (await this.maker())(identityOfLine(line));
  }

  /** Makes the keys of any record. @throws HubferryError INTERNAL without a secret */
  async maker(): Promise<(record: Identity) => Keys> {
    this.#secret ??= this.#storage.readText(this.#work, workBlob.keySecret);
    const secret = await this.#secret;
    if (secret === null) throw new HubferryError('INTERNAL', 'The secret for new keys is not there.');
    return ({ deviceId, moduleId }) => {
      const key = (which: string): string =>
        createHmac('sha256', Buffer.from(secret, 'base64'))
          .update(`${which}\n${recordKey(deviceId, moduleId)}`)
          .digest('base64');
      return { primaryKey: key('primary'), secondaryKey: key('secondary') };
    };
  }
}

/** The records of one partition whose keys a run of edits makes: their desired lines with marks, by what names them. */
export async function markedLines(
  storage: Storage,
  work: string,
  partition: number,
): Promise<Map<RecordKey, string>> {
  const lines = await allOwnLines(storage, work, workBlob.marked(partition));
  return new Map(
    lines.map((line) => {
      const { deviceId, moduleId } = identityOfLine(line);
      return [recordKey(deviceId, moduleId), line];
    }),
  );
}

export interface SealNewKeysInput {
  readonly account: string;
  readonly work: string;
  readonly pass: number;
  readonly partitions: number;
  /** The private container for the keys, made where there are any, and the blob in it. */
  readonly container: string;
  readonly blob: string;
}

export function newKeysActivities({ connections }: Deps) {
  return {
    /**
     * Writes down the keys that the changes of a pass are to make, before any is sent: whatever happens then, nobody is
     * left with a device whose keys are not known.
     *
     * @returns how many records get new keys.
     */
    async sealNewKeys(input: SealNewKeysInput): Promise<{ count: number }> {
      const { work, pass, container } = input;
      const storage = connections.storage(input.account);
      const keys = new NewKeys(storage, work);
      await storage.createContainer(container);
      const writer = storage.writer(container, input.blob);
      let count = 0;
      for (let partition = 0; partition < input.partitions; partition++) {
        const marked = await markedLines(storage, work, partition);
        for await (const { name } of storage.list(work, workBlob.changes(pass, partition))) {
          for await (const batch of ownLines(storage, work, name)) {
            for (const change of batch.map(parseChange)) {
              const { deviceId, moduleId } = identityOfLine(change.line);
              const isMarked = writesKeys(change) && marked.has(recordKey(deviceId, moduleId));
              if (!isMarked && !makesKeys(change)) continue;
              const whose = moduleId === null ? { deviceId } : { deviceId, moduleId };
              const made = isMarked ? keysIn(change.line) : await keys.of(change.line);
              await writer.write(`${JSON.stringify({ ...whose, ...made })}\n`);
              count += 1;
            }
          }
        }
      }
      await writer.close();
      if (count === 0) await storage.deleteContainer(container);
      return { count };
    },
  };
}

/** The keys of a desired line, of which some were made when it was. */
function keysIn(line: string): Partial<Authentication> {
  const read = parseDesiredLine(line);
  if (read.kind === 'refused' || read.record.authentication === null) return {};
  const { primaryKey, secondaryKey } = read.record.authentication;
  return { primaryKey, secondaryKey };
}
