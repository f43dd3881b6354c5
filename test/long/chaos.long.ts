import { mixOf } from '../chaos/mix.js';
import { plays } from '../chaos/scenario.js';
import { LONG } from '../chaos/seeds.js';

plays(LONG.map(mixOf));
