import { FAST } from '../support/stand.js';
import { wholeFleetScenarios } from '../support/whole-fleet-scenarios.js';

// Small partitions, so that a snapshot has several ranges. `npm run test:long` does the same with 20,000 records.
wholeFleetScenarios(200, { ...FAST, partitionBytes: 10_000 }, 120_000);
