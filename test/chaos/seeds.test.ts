import { mixOf } from './mix.js';
import { plays } from './scenario.js';
import { QUICK } from './seeds.js';

// `npm run test:long` has more seeds, `npm run test:chaos` all of them.
plays(QUICK.map(mixOf));
