import { ServiceError } from '../errors.js';
import type { JsonObject } from '../json.js';

/** The configurations and edge deployments of one hub. They can be read; they do not act on twins yet. */
export class Configurations {
  readonly #byId = new Map<string, JsonObject>();

  constructor(readonly now: () => number) {}

  /** Adds configurations; `id` is needed, what the service would set is filled in. */
  load(configurations: Iterable<JsonObject>): void {
    for (const configuration of configurations) {
      if (typeof configuration.id !== 'string') throw new TypeError('a configuration needs an id');
      const at = new Date(this.now()).toISOString();
      this.#byId.set(configuration.id, {
        schemaVersion: '1.0',
        labels: {},
        content: {},
        targetCondition: '',
        priority: 0,
        createdTimeUtc: at,
        lastUpdatedTimeUtc: at,
        systemMetrics: { results: {}, queries: {} },
        metrics: { results: {}, queries: {} },
        etag: 'MQ==',
        ...configuration,
      });
    }
  }

  list(): JsonObject[] {
    return [...this.#byId.values()];
  }

  /** @throws {ServiceError} ConfigurationNotFound */
  get(id: string): JsonObject {
    const found = this.#byId.get(id);
    if (found === undefined)
      throw new ServiceError('ConfigurationNotFound', `Configuration '${id}' not found`);
    return found;
  }

  clear(): void {
    this.#byId.clear();
  }
}
