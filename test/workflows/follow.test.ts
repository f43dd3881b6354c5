import { followScenarios } from '../support/follow-scenarios.js';

followScenarios(/^a target follows/);
