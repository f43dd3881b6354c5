import { ServiceError } from '../errors.js';
import { matchesCondition } from '../query/condition.js';
import { type Condition, conditionFields, type FieldPath, parseCondition } from '../query/query.js';
import { spelled } from '../query/row.js';
import { isModule, type StoredRecord } from '../records/records.js';
import type { ContentKind } from './content.js';

/** Which twins a configuration is for. Undefined as the condition: all; `nothing`: none. */
export type Target =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'twins'; readonly condition: Condition | undefined };

const nothing: Target = { kind: 'nothing' };

/** Conditions of module configurations begin like this (documented for automatic module configurations). */
const modulesPrefix = /^\s*from\s+devices\.modules(?:\s+where\s+(.+))?\s*$/is;

/**
 * Reads a target condition. An empty one targets nothing, `*` everything of the content's kind.
 * @throws {ServiceError} InvalidConfigurationTargetCondition for a syntax error, for fields other than deviceId,
 * moduleId, tags and reported properties, and when it does not fit the kind.
 */
export function readTarget(text: string, kind: ContentKind): Target {
  const trimmed = text.trim();
  if (trimmed === '') return nothing;
  if (trimmed === '*') return { kind: 'twins', condition: undefined };
  const ofModules = modulesPrefix.exec(trimmed);
  if (kind !== 'module' && kind !== 'none' && ofModules !== null) {
    throw invalidTarget('FROM devices.modules needs moduleContent');
  }
  if (kind === 'module' && ofModules === null)
    throw invalidTarget('moduleContent needs FROM devices.modules WHERE');
  const where = ofModules === null ? trimmed : ofModules[1];
  return { kind: 'twins', condition: where === undefined ? undefined : readCondition(where) };
}

function readCondition(text: string): Condition {
  let condition: Condition;
  try {
    condition = parseCondition(text);
  } catch (error) {
    throw invalidTarget(error instanceof ServiceError ? error.message : 'syntax error');
  }
  for (const path of conditionFields(condition)) {
    if (!isTargetField(path)) throw invalidTarget(`the field ${path.join('.')} cannot be used`);
  }
  return condition;
}

/** Target conditions were seen to be limited to these (§1.7). */
function isTargetField(path: FieldPath): boolean {
  const [top, second] = spelled(path);
  if (second === undefined) return top === 'deviceId' || top === 'moduleId';
  return top === 'tags' || (top === 'properties' && second === 'reported');
}

/** True when a configuration of this kind with this target is for the record. Deployments are for edge devices. */
export function isTarget(record: StoredRecord, kind: ContentKind, target: Target): boolean {
  if (kind === 'none' || target.kind === 'nothing') return false;
  if (isModule(record)) {
    // What runs the device is set by deployments only.
    if (kind !== 'module' || record.moduleId.startsWith('$')) return false;
  } else if (kind === 'module' || (kind === 'edge' && !record.iotEdge)) {
    return false;
  }
  return target.condition === undefined || matchesCondition(record, target.condition);
}

/** The query that counts what a condition targets, as `systemMetrics.queries` shows it. */
export function targetQuery(text: string, kind: ContentKind): string {
  const trimmed = text.trim();
  if (kind === 'module') {
    const where = modulesPrefix.exec(trimmed)?.[1];
    return `select deviceId, moduleId from devices.modules${where === undefined ? '' : ` where ${where}`}`;
  }
  const all = trimmed === '*' || trimmed === '';
  if (kind === 'edge') {
    return `select deviceId from devices where capabilities.iotEdge = true${all ? '' : ` and (${trimmed})`}`;
  }
  return `select deviceId from devices${all ? '' : ` where ${trimmed}`}`;
}

function invalidTarget(what: string): ServiceError {
  return new ServiceError(
    'InvalidConfigurationTargetCondition',
    `The target condition is invalid: ${what.replace(/^BadRequest: /, '')}.`,
  );
}
