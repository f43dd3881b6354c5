import { crashes } from '../crash/crashes.js';
import { betweenChunks, cleanUp, importRuns, plan, transform, verify } from '../crash/moments.js';

crashes([
  { victim: 'worker', moment: transform },
  { victim: 'worker', moment: plan },
  { victim: 'worker', moment: verify },
  { victim: 'worker', moment: betweenChunks },
  { victim: 'worker', moment: cleanUp },
  { victim: 'cli', moment: importRuns },
]);
