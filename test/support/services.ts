import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startAzurite } from '../../demo/azurite.js';
import { bundleWorkflows } from '../../worker/bundling.js';
import { startDevServer } from '../../worker/dev-server.js';
import { findServer } from '../../worker/server-binary.js';

/** The servers that stands use. */
export interface Services {
  readonly temporalAddress: string;
  /** A bundle of the workflows as they stand in the sources. */
  readonly workflowBundle: string;
  readonly storageConnectionString: string;
}

/** Starts a Temporal server and a blob service, and bundles the workflows. */
export async function startServices(): Promise<{ services: Services; stop(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'hubferry-test-'));
  const workflowBundle = join(folder, 'workflows.js');
  const starting = [
    findServer().then(({ path }) => startDevServer({ binary: path, fastTimers: true })),
    startAzurite(),
    bundleWorkflows().then((code) => writeFileSync(workflowBundle, code)),
  ] as const;
  const stop = async (): Promise<void> => {
    // Also after a failure, so that no part outlives it.
    const started = await Promise.allSettled(starting);
    for (const { value } of started.filter((one) => one.status === 'fulfilled')) await value?.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  const [temporal, azurite] = await Promise.all(starting).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return {
    services: {
      temporalAddress: temporal.address,
      workflowBundle,
      storageConnectionString: azurite.connectionString,
    },
    stop,
  };
}
