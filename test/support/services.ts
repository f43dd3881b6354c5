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
  const [temporal, azurite] = await Promise.all([
    findServer().then(({ path }) => startDevServer({ binary: path, fastTimers: true })),
    startAzurite(),
    bundleWorkflows().then((code) => writeFileSync(workflowBundle, code)),
  ]);
  return {
    services: {
      temporalAddress: temporal.address,
      workflowBundle,
      storageConnectionString: azurite.connectionString,
    },
    stop: async () => {
      await Promise.all([temporal.stop(), azurite.stop()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
