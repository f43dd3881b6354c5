import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger, type WorkerOptions } from '@temporalio/worker';
import { modulePath } from './entry.js';

/** Where `npm run build` puts the workflows' bundle: beside the compiled form of this file. */
export const BUNDLE_FILE = fileURLToPath(new URL('./workflow-bundle.js', import.meta.url));

/** Bundles workflow code without progress output; about 1.5 s. The bundler does not check types: `tsc` does. */
export async function bundleWorkflows(workflowsPath = modulePath('../workflows/index')): Promise<string> {
  const { code } = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('ERROR') });
  return code;
}

/** The bundle that is named, else the one made ahead of time if it is there, else the sources. */
export function workflowSource(bundle?: string): Pick<WorkerOptions, 'workflowBundle' | 'workflowsPath'> {
  if (bundle !== undefined) return { workflowBundle: { codePath: bundle } };
  if (existsSync(BUNDLE_FILE)) return { workflowBundle: { codePath: BUNDLE_FILE } };
  return { workflowsPath: modulePath('../workflows/index') };
}
