export { parseDuration } from './duration.js';
export { cellValue, type EditSource, placed, readEdits } from './edits.js';
export {
  type FirstConfig,
  firstConfig,
  hubAccess,
  storageAccess,
  variableOf,
  variablesOf,
} from './first.js';
export { canonicalHost } from './host.js';
export { CONFIG_FILE, type LoadOptions, loadConfig } from './load.js';
export {
  type Config,
  type HubConfig,
  hubOf,
  type KeyConfig,
  type StorageConfig,
  storageOf,
  type TemporalConfig,
  type Tier,
  type VaultKeyConfig,
} from './model.js';
export { faultIn, loadRules, twinPathText } from './rules.js';
export { configJsonSchema, NAME } from './schema.js';
export { METRICS_PLACE_WORDS, metricsAddress } from './settings.js';
