import { FAST } from '../support/stand.js';
import { wholeFleetScenarios } from '../support/whole-fleet-scenarios.js';

// `npm run test:long` does the same with 20,000 records.
wholeFleetScenarios(200, FAST, 120_000);
