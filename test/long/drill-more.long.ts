import { drillScenarios } from '../support/drill-scenarios.js';

drillScenarios(/^(?!a drill restores|only a scratch)/);
