import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startAzurite } from '../../demo/azurite.js';
import { bundleWorkflows, sealedBundleOf } from '../../worker/bundling.js';
import { startDevServer } from '../../worker/dev-server.js';
import { findServer } from '../../worker/server-binary.js';
import { builtBundle } from './compiled.js';

/** The servers that stands use. */
export interface Services {
  readonly temporalAddress: string;
  /** A bundle of the workflows as they stand in the sources, in a folder that is removed at the end. */
  readonly workflowBundle: string;
  /** Some, so that none has to hold all that the suite stores. */
  readonly storageConnectionStrings: readonly string[];
}

/** A second namespace of the Temporal server: for runs, another server. */
export const OTHER_NAMESPACE = 'elsewhere';

/**
 * Azurite collects what was deleted ten minutes after its start, in a time that grows with the square of it, and answers
 * nobody meanwhile. So the suite is spread over some.
 */
const BLOB_SERVICES = 6;

/** The blob service of this file. */
export function storageOfFile({
  storageConnectionStrings: all,
}: Pick<Services, 'storageConnectionStrings'>): string {
  const place = Number(process.env['VITEST_WORKER_ID'] ?? 0) % all.length;
  const connectionString = all[place];
  if (connectionString === undefined) throw new Error('no blob service was started');
  return connectionString;
}

/** Makes the bundle for workers that seal, beside the other one, where no test has made it yet. */
export async function makeSealedBundle(workflowBundle: string): Promise<void> {
  const file = sealedBundleOf(workflowBundle);
  if (existsSync(file)) return;
  const built = builtBundle();
  const code = built === null ? await bundleWorkflows(true) : readFileSync(sealedBundleOf(built), 'utf8');
  // Another process may be at it, too.
  const own = `${file}.${process.pid}`;
  writeFileSync(own, code);
  renameSync(own, file);
}

async function bundle(file: string): Promise<void> {
  const built = builtBundle();
  if (built === null) writeFileSync(file, await bundleWorkflows(false));
  else copyFileSync(built, file);
}

/** Starts a Temporal server and a blob service, and bundles the workflows. */
export async function startServices(): Promise<{ services: Services; stop(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'hubferry-test-'));
  const workflowBundle = join(folder, 'workflows.js');
  const starting = [
    findServer().then(({ path }) =>
      startDevServer({ binary: path, fastTimers: true, extraArgs: ['--namespace', OTHER_NAMESPACE] }),
    ),
    Promise.all(Array.from({ length: BLOB_SERVICES }, () => startAzurite())).then((all) => ({
      connectionStrings: all.map(({ connectionString }) => connectionString),
      stop: async () => void (await Promise.all(all.map((one) => one.stop()))),
    })),
    bundle(workflowBundle),
  ] as const;
  const stop = async (): Promise<void> => {
    // Also after a failure, so that no part outlives it.
    const started = await Promise.allSettled(starting);
    for (const { value } of started.filter((one) => one.status === 'fulfilled')) await value?.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  const [temporal, blobs] = await Promise.all(starting).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return {
    services: {
      temporalAddress: temporal.address,
      workflowBundle,
      storageConnectionStrings: blobs.connectionStrings,
    },
    stop,
  };
}
