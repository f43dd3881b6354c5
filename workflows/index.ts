export { apply } from './apply.js';
export { check } from './check.js';
export { edit } from './edit.js';
export { hubJob } from './hub-job.js';
export { hubQueue } from './hub-queue.js';
export { migrate } from './migrate.js';
export { rollback } from './rollback.js';
export { snapshot } from './snapshot.js';
