import { crashes } from './crashes.js';
import { MOMENTS } from './moments.js';
import type { Victim } from './scene.js';

const VICTIMS: readonly Victim[] = ['server', 'cli'];

// Workers are killed at every activity: matrix.crash.ts.
crashes(VICTIMS.flatMap((victim) => MOMENTS.map((moment) => ({ victim, moment }))));
