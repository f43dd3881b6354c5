import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger, type WorkerOptions } from '@temporalio/worker';
import { SEALED_FAILURES } from './data-converter.js';
import { modulePath } from './entry.js';

/** Where `npm run build` puts the workflows' bundle: beside the compiled form of this file. */
export const BUNDLE_FILE = fileURLToPath(new URL('./workflow-bundle.js', import.meta.url));

/** The bundle for workers that seal stands beside the other one: workflows make failures themselves. */
export function sealedBundleOf(file: string): string {
  return file.replace(/\.js$/, '-sealed.js');
}

/**
 * Bundles workflow code without progress output; about 1.5 s. The bundler does not check types: `tsc` does.
 *
 * @param sealed for workers that seal
 */
export async function bundleWorkflows(
  sealed: boolean,
  workflowsPath = modulePath('../workflows/index'),
): Promise<string> {
  const { code } = await bundleWorkflowCode({
    workflowsPath,
    logger: new DefaultLogger('ERROR'),
    ...(sealed ? { failureConverterPath: SEALED_FAILURES } : {}),
  });
  return code;
}

/** The bundle that is named, else the one made ahead of time if it is there, else the sources. */
export function workflowSource(
  sealed: boolean,
  bundle?: string,
): Pick<WorkerOptions, 'workflowBundle' | 'workflowsPath'> {
  const file = bundle ?? (existsSync(BUNDLE_FILE) ? BUNDLE_FILE : null);
  if (file === null) return { workflowsPath: modulePath('../workflows/index') };
  return { workflowBundle: { codePath: sealed ? sealedBundleOf(file) : file } };
}
