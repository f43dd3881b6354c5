import { editScenarios } from '../support/edit-scenarios.js';
import { FAST } from '../support/stand.js';

const settings = { ...FAST, chunkLines: 5_000, partitionBytes: 2_000_000, visible: 10_000, settle: 500 };

editScenarios(10_000, 10, settings, 600_000);
