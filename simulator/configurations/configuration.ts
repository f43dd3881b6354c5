import { ServiceError } from '../errors.js';
import { isObject, type Json, type JsonObject, setKey } from '../json.js';
import { parseQuery, type Query } from '../query/query.js';
import { Shape } from '../records/identity.js';
import { identityEtag } from '../records/records.js';
import { type Content, contentSections, readContent } from './content.js';
import { readTarget, type Target } from './target.js';

/** What a client may set. */
export interface WantedConfiguration {
  readonly schemaVersion: string | null;
  readonly labels: JsonObject | null;
  readonly targetCondition: string;
  readonly priority: number;
  /** Custom metrics by name. */
  readonly metrics: ReadonlyMap<string, Metric>;
  /** As it was given, without sections that are null. */
  readonly contentJson: JsonObject;
  readonly content: Content;
  readonly target: Target;
}

export interface Metric {
  readonly text: string;
  readonly query: Query;
}

/** A configuration or edge deployment as the hub keeps it. Never changed in place. */
export interface Configuration extends WantedConfiguration {
  readonly id: string;
  /** ISO 8601; decides between equal priorities (§6). */
  readonly createdAt: string;
  readonly updatedAt: string;
  /** The number inside the etag. */
  readonly etag: number;
}

const idPattern = /^[a-z0-9\-+%_*!']{1,128}$/;
const mostMetrics = 5;
const highestPriority = 2 ** 31 - 1;

/** @throws {ServiceError} ArgumentInvalid unless `id` is a legal configuration id (§1.7). */
export function checkConfigurationId(id: string): void {
  if (idPattern.test(id)) return;
  throw new ServiceError('ArgumentInvalid', `The configuration identifier '${id}' is invalid.`);
}

/**
 * Reads the body of a PUT, or a line of configurations.txt. What the server computes is ignored.
 * @throws {ServiceError} ArgumentInvalid for wrong types; InvalidConfigurationContent,
 * InvalidConfigurationTargetCondition, InvalidConfigurationCustomMetricsQuery (§1.7).
 */
export function readConfiguration(body: JsonObject): WantedConfiguration {
  const shape = new Shape(body, 'ArgumentInvalid');
  const labels = shape.object('labels');
  if (labels !== undefined && !Object.values(labels).every((label) => typeof label === 'string')) {
    throw shape.error("'labels' has a value that is not a string.");
  }
  const priority = body.priority ?? 0;
  if (
    typeof priority !== 'number' ||
    !Number.isInteger(priority) ||
    priority < 0 ||
    priority > highestPriority
  ) {
    throw shape.error("'priority' must be a whole number from 0 up.");
  }
  const content = readContent(body.content);
  const targetCondition = shape.text('targetCondition') ?? '';
  const metrics = shape.object('metrics');
  return {
    schemaVersion: shape.text('schemaVersion') ?? null,
    labels: labels ?? null,
    targetCondition,
    priority,
    metrics: readMetrics(metrics && new Shape(metrics, 'ArgumentInvalid').object('queries')),
    contentJson: withoutNulls(body.content),
    content,
    target: readTarget(targetCondition, content.kind),
  };
}

/** What a loaded configuration has, however odd it is: what makes no sense does not act. */
export function readLoaded(body: JsonObject): WantedConfiguration {
  const content = orElse(() => readContent(body.content), { kind: 'none' } as const);
  const targetCondition = typeof body.targetCondition === 'string' ? body.targetCondition : '';
  const queries = isObject(body.metrics) && isObject(body.metrics.queries) ? body.metrics.queries : undefined;
  return {
    schemaVersion: typeof body.schemaVersion === 'string' ? body.schemaVersion : null,
    labels: isObject(body.labels) ? body.labels : null,
    targetCondition,
    priority: typeof body.priority === 'number' ? body.priority : 0,
    metrics: orElse(() => readMetrics(queries), new Map()),
    contentJson: withoutNulls(body.content),
    content,
    target: orElse(() => readTarget(targetCondition, content.kind), { kind: 'nothing' } as const),
  };
}

function orElse<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof ServiceError) return otherwise;
    throw error;
  }
}

function readMetrics(queries: JsonObject | undefined): Map<string, Metric> {
  const result = new Map<string, Metric>();
  for (const [name, text] of Object.entries(queries ?? {})) {
    if (typeof text !== 'string') throw badMetric(`'${name}' is not a string`);
    result.set(name, { text, query: readMetric(text, name) });
  }
  if (result.size > mostMetrics) throw badMetric(`there are more than ${mostMetrics}`);
  return result;
}

/** @throws {ServiceError} InvalidConfigurationCustomMetricsQuery */
export function readMetric(text: string, name: string): Query {
  try {
    return parseQuery(text);
  } catch (error) {
    throw badMetric(`'${name}': ${error instanceof ServiceError ? error.message : 'syntax error'}`);
  }
}

function badMetric(what: string): ServiceError {
  return new ServiceError(
    'InvalidConfigurationCustomMetricsQuery',
    `The custom metrics queries are invalid: ${what}.`,
  );
}

function withoutNulls(content: Json | undefined): JsonObject {
  const result: JsonObject = {};
  if (!isObject(content)) return result;
  for (const name of contentSections) {
    const section = content[name];
    if (section !== undefined && section !== null) result[name] = section;
  }
  return result;
}

/** Results of queries by metric; what was not evaluated yet has none. */
export interface MetricResults {
  readonly system: JsonObject;
  readonly custom: JsonObject;
}

/** A configuration as REST and configurations.txt show it. */
export function configurationJson(
  configuration: Configuration,
  systemQueries: JsonObject,
  results: MetricResults,
): JsonObject {
  const queries: JsonObject = {};
  for (const [name, { text }] of configuration.metrics) setKey(queries, name, text);
  return {
    id: configuration.id,
    schemaVersion: configuration.schemaVersion,
    labels: configuration.labels,
    content: configuration.contentJson,
    targetCondition: configuration.targetCondition,
    createdTimeUtc: configuration.createdAt,
    lastUpdatedTimeUtc: configuration.updatedAt,
    priority: configuration.priority,
    systemMetrics: { results: results.system, queries: systemQueries },
    metrics: { results: results.custom, queries },
    etag: identityEtag(configuration.etag),
  };
}

/** Ordered so that the last one wins: by priority, then by the time of creation (§6). */
export function ranked(configurations: Iterable<Configuration>): Configuration[] {
  return [...configurations].toSorted(
    (a, b) => a.priority - b.priority || timeOf(a.createdAt) - timeOf(b.createdAt),
  );
}

function timeOf(iso: string): number {
  return Date.parse(iso) || 0;
}
