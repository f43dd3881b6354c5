import type { TestProject } from 'vitest/node';
import { type Services, startServices } from './services.js';

declare module 'vitest' {
  interface ProvidedContext extends Services {}
}

/** One Temporal server, some blob services and one bundle for all test files. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const started = await startServices();
  const { services } = started;
  project.provide('temporalAddress', services.temporalAddress);
  project.provide('workflowBundle', services.workflowBundle);
  project.provide('storageConnectionStrings', services.storageConnectionStrings);
  return () => started.stop();
}
