import { defineConfig, mergeConfig } from 'vitest/config';
import usual from './vitest.config.js';

/** What takes too long for `npm test`: `npm run test:long`. */
const long = mergeConfig(usual, defineConfig({ test: { maxWorkers: 1 } }));
long.test.include = ['test/long/**/*.long.ts'];
export default long;
