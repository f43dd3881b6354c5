import type { RegistryStore } from '../records/store.js';
import type { Job } from './job.js';
import type { JobFault } from './job-faults.js';

/** What a running job works with. */
export interface JobRun {
  readonly job: Job;
  readonly store: RegistryStore;
  readonly fault: JobFault | undefined;
}
