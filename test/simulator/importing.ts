import type { ContainerClient } from '@azure/storage-blob';
import { type Azurite, readBlob, writeBlob } from './azurite.js';
import type { Body } from './client.js';
import type { Stand } from './stand.js';

export type Line = string | Readonly<Record<string, unknown>>;

/** What an import left behind. */
export interface Imported {
  readonly job: Body;
  /** Undefined when there is none. */
  readonly log: string | undefined;
}

let containers = 0;

/** A container that no other test has. */
export function nextContainer(azurite: Azurite): Promise<ContainerClient> {
  return azurite.container(`c-${process.pid}-${++containers}`);
}

/** The text of lines; a status is added where it is left out. */
export function blobText(lines: readonly Line[], end = '\r\n'): string {
  return lines
    .map((line) => (typeof line === 'string' ? line : JSON.stringify({ status: 'enabled', ...line })) + end)
    .join('');
}

/** Imports lines through a container and waits for the job's end. */
export async function importLines(
  { client }: Stand,
  azurite: Azurite,
  lines: readonly Line[],
  container?: ContainerClient,
): Promise<Imported> {
  const place = container ?? (await nextContainer(azurite));
  await writeBlob(place, 'devices.txt', blobText(lines));
  const uri = azurite.uri(place);
  const job = await client.job({ type: 'import', inputBlobContainerUri: uri, outputBlobContainerUri: uri });
  return { job, log: await errorLog(place) };
}

/** The error log in a container, undefined when there is none. */
export async function errorLog(container: ContainerClient): Promise<string | undefined> {
  const there = await container.getBlobClient('importErrors.log').exists();
  return there ? readBlob(container, 'importErrors.log') : undefined;
}

/** `[id, code]` per entry of an error log, `id` being `device/module` for a module. */
export function refusalsIn(log: string | undefined): [string | undefined, number][] {
  return (log ?? '')
    .split('\r\n')
    .filter((text) => text !== '')
    .map((text) => JSON.parse(text) as { deviceId?: string; moduleId?: string; errorCode: number })
    .map(({ deviceId, moduleId, errorCode }) => [
      moduleId === undefined ? deviceId : `${deviceId}/${moduleId}`,
      errorCode,
    ]);
}
