import { ServiceError } from '../errors.js';
import { isObject, type JsonObject, setKey } from '../json.js';
import { Shape } from '../records/identity.js';
import { identityEtag, readIdentityEtag } from '../records/records.js';
import type { RegistryStore } from '../records/store.js';
import {
  type Configuration,
  checkConfigurationId,
  configurationJson,
  ranked,
  readConfiguration,
  readLoaded,
  readMetric,
} from './configuration.js';
import { type Acting, type Deployment, Enforcement, type TwinConfiguration } from './enforcement.js';
import { resultsOf, systemQueries, tallyAll } from './metrics.js';
import { readTarget } from './target.js';

/** Configurations that the free tier takes (§5). */
const mostInFreeTier = 10;

/** The configurations and edge deployments of one hub. */
export class Configurations {
  readonly #byId = new Map<string, Configuration>();
  /** Ids of those that have acted since they were written: only they have results. */
  readonly #evaluated = new Set<string>();
  readonly #enforcement: Enforcement;
  #acting: Acting | undefined;

  /** @param closing fires when the hub is closed. */
  constructor(
    readonly store: RegistryStore,
    closing: AbortSignal,
  ) {
    this.#enforcement = new Enforcement(store, () => this.#ranked(), closing);
  }

  /** In the order of their creation. */
  list(): JsonObject[] {
    if (this.#byId.size === 0) return [];
    const tallies = tallyAll(this.store);
    return [...this.#byId.values()].map((one) => this.#json(one, tallies));
  }

  /** @throws {ServiceError} ConfigurationNotFound */
  get(id: string): JsonObject {
    return this.#json(this.#find(id), tallyAll(this.store));
  }

  /**
   * Creates a configuration, or updates it when `ifMatch` is given (§1.4). An update keeps the old content, silently,
   * although it must bring one (§1.7).
   * @param ifMatch an etag without its quotes, or `*`.
   * @throws {ServiceError} what {@link readConfiguration} throws; ConfigurationAlreadyExists,
   * ConfigurationCountLimitExceeded, ConfigurationNotFound, PreconditionFailed.
   */
  put(id: string, body: JsonObject, ifMatch?: string): JsonObject {
    checkConfigurationId(id);
    if (body.id !== undefined && body.id !== null && body.id !== id) {
      throw new ServiceError(
        'ArgumentInvalid',
        'The configuration id in the body differs from the one in the path.',
      );
    }
    const wanted = readConfiguration(body);
    const before = this.#byId.get(id);
    const now = new Date(this.store.clock.now()).toISOString();
    if (ifMatch !== undefined) {
      const { content, contentJson, createdAt, etag } = this.#find(id);
      checkMatch(ifMatch, etag);
      const target = readTarget(wanted.targetCondition, content.kind);
      const kept = { content, contentJson, createdAt, target };
      return this.#write({ ...wanted, id, ...kept, updatedAt: now, etag: etag + 1 });
    }
    if (before !== undefined) {
      throw new ServiceError('ConfigurationAlreadyExists', `A configuration with ID '${id}' already exists.`);
    }
    this.#checkRoom();
    return this.#write({ ...wanted, id, createdAt: now, updatedAt: now, etag: 1 });
  }

  /**
   * Removes a configuration; what it wrote stays, unless the setting `configurationRemoval` says otherwise.
   * @param ifMatch an etag without its quotes, `*`, or undefined: whatever its etag is (§1.4).
   * @throws {ServiceError} ConfigurationNotFound, PreconditionFailed.
   */
  remove(id: string, ifMatch?: string): void {
    const before = this.#find(id);
    if (ifMatch !== undefined) checkMatch(ifMatch, before.etag);
    this.#byId.delete(id);
    this.#evaluated.delete(id);
    this.#changed();
    this.#enforcement.configurationWritten(before, () => this.#acted(id));
  }

  /** True when there is one with this id. */
  has(id: string): boolean {
    return this.#byId.has(id);
  }

  /**
   * Tries a target condition and metric queries out, without effect.
   * @returns errors by what they are about; `*` is refused here, although PUT takes it (§1.2, seen live).
   * @throws {ServiceError} ArgumentInvalid when the body is of another shape.
   */
  testQueries(body: JsonObject): JsonObject {
    const shape = new Shape(body, 'ArgumentInvalid');
    const condition = shape.text('targetCondition');
    const customMetricQueryErrors: JsonObject = {};
    for (const [name, text] of Object.entries(shape.object('customMetricQueries') ?? {})) {
      if (typeof text !== 'string') throw shape.error(`'customMetricQueries.${name}' is not a string.`);
      const error = messageOf(() => readMetric(text, name));
      if (error !== undefined) setKey(customMetricQueryErrors, name, error);
    }
    const targetConditionError =
      condition?.trim() === '*'
        ? 'The target condition is invalid: unexpected character at position 0.'
        : messageOf(() => readTarget(condition ?? '', 'none'));
    return { targetConditionError: targetConditionError ?? null, customMetricQueryErrors };
  }

  /**
   * Adds configurations as they are, without their acting: a dump holds what they did to the twins. `id` is needed,
   * what the service would set is filled in.
   * @throws {TypeError} when one has no id.
   */
  load(configurations: Iterable<JsonObject>): void {
    for (const given of configurations) {
      const { id, createdTimeUtc, lastUpdatedTimeUtc, etag, systemMetrics } = given;
      if (typeof id !== 'string') throw new TypeError('a configuration needs an id');
      const now = new Date(this.store.clock.now()).toISOString();
      this.#byId.set(id, {
        ...readLoaded(given),
        id,
        createdAt: typeof createdTimeUtc === 'string' ? createdTimeUtc : now,
        updatedAt: typeof lastUpdatedTimeUtc === 'string' ? lastUpdatedTimeUtc : now,
        etag: (typeof etag === 'string' ? readIdentityEtag(etag) : undefined) ?? 1,
      });
      if (wasEvaluated(systemMetrics)) this.#evaluated.add(id);
      else this.#evaluated.delete(id);
    }
    this.#changed();
  }

  clear(): void {
    this.#byId.clear();
    this.#evaluated.clear();
    this.#enforcement.clear();
    this.#changed();
  }

  #find(id: string): Configuration {
    const found = this.#byId.get(id);
    if (found !== undefined) return found;
    throw new ServiceError('ConfigurationNotFound', `Configuration '${id}' not found`);
  }

  #write(configuration: Configuration): JsonObject {
    const { id } = configuration;
    this.#byId.set(id, configuration);
    this.#changed();
    this.#enforcement.configurationWritten(configuration, () => this.#acted(id));
    return this.#json(configuration, tallyAll(this.store));
  }

  #acted(id: string): void {
    if (this.#byId.has(id)) this.#evaluated.add(id);
  }

  #json(configuration: Configuration, tallies: ReturnType<typeof tallyAll>): JsonObject {
    const results = this.#evaluated.has(configuration.id)
      ? resultsOf(this.store, configuration, tallies)
      : { system: {}, custom: {} };
    return configurationJson(configuration, systemQueries(configuration), results);
  }

  #changed(): void {
    this.#acting = undefined;
    this.store.onWrite =
      this.#byId.size === 0 ? undefined : (record, group) => this.#enforcement.recordWritten(record, group);
  }

  #ranked(): Acting {
    if (this.#acting === undefined) {
      const all = ranked(this.#byId.values());
      this.#acting = {
        devices: all.filter((one): one is TwinConfiguration => one.content.kind === 'device'),
        modules: all.filter((one): one is TwinConfiguration => one.content.kind === 'module'),
        deployments: all.filter((one): one is Deployment => one.content.kind === 'edge'),
      };
    }
    return this.#acting;
  }

  #checkRoom(): void {
    const { maxConfigurations, tier } = this.store.settings;
    const most = tier === 'F1' ? Math.min(maxConfigurations, mostInFreeTier) : maxConfigurations;
    if (this.#byId.size < most) return;
    throw new ServiceError(
      'ConfigurationCountLimitExceeded',
      `The hub has ${this.#byId.size} configurations, the limit is ${most}.`,
    );
  }
}

function checkMatch(given: string, etag: number): void {
  if (given === '*' || given === identityEtag(etag)) return;
  throw new ServiceError('PreconditionFailed', 'PreconditionFailed, ETag may be invalid.');
}

function messageOf(read: () => unknown): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (error instanceof ServiceError) return error.message;
    throw error;
  }
}

/** A dump shows results only of configurations that have acted. */
function wasEvaluated(systemMetrics: unknown): boolean {
  return (
    isObject(systemMetrics) && isObject(systemMetrics.results) && 'targetedCount' in systemMetrics.results
  );
}
