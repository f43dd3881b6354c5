import { policyScenarios } from '../support/policy-scenarios.js';
import { FAST } from '../support/stand.js';

// `npm run test:long` does the same with 10,000 records.
policyScenarios({ differing: 50, extra: 20, equal: 30 }, FAST, 120_000);
