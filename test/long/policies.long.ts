import { policyScenarios } from '../support/policy-scenarios.js';
import { FAST } from '../support/stand.js';

const settings = { ...FAST, chunkLines: 5_000, partitionBytes: 2_000_000, visible: 10_000, settle: 500 };

policyScenarios({ differing: 5_000, extra: 2_000, equal: 3_000 }, settings, 600_000);
