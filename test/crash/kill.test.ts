import { crashes } from './crashes.js';
import { importRuns, jobUnnoted } from './moments.js';

// `npm run test:long` has more moments.
crashes([
  { victim: 'worker', moment: jobUnnoted, warnings: ['JOB_ADOPTED'] },
  { victim: 'worker', moment: importRuns },
  { victim: 'server', moment: importRuns },
]);
