import { FAST } from '../support/stand.js';
import { wholeFleetScenarios } from '../support/whole-fleet-scenarios.js';

const settings = { ...FAST, chunkLines: 5_000, partitionBytes: 2_000_000, visible: 10_000, settle: 500 };

wholeFleetScenarios(20_000, settings, 900_000);
