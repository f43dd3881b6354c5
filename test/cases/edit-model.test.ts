import { editScenarios } from '../support/edit-scenarios.js';
import { FAST } from '../support/stand.js';

// `npm run test:long` does the same with 10,000 edits.
editScenarios(80, 4, FAST, 120_000);
