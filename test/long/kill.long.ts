import { crashes } from '../crash/crashes.js';
import { cleanUp, plan, transform, verify } from '../crash/moments.js';

crashes([
  { victim: 'worker', moment: transform },
  { victim: 'worker', moment: plan },
  { victim: 'worker', moment: verify },
  { victim: 'worker', moment: cleanUp },
]);
