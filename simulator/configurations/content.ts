import { ServiceError } from '../errors.js';
import { isObject, type Json, type JsonObject } from '../json.js';
import { systemModuleIds } from '../records/records.js';
import { checkId, checkTwinDepth } from '../records/validation.js';

/** A value that a configuration sets in desired properties. */
export interface DesiredSetting {
  /** Names below `properties.desired`; empty: all of it. */
  readonly path: readonly string[];
  readonly value: Json;
}

/** What a deployment says about each module, system modules included. */
export type ModuleSettings = ReadonlyMap<string, readonly DesiredSetting[]>;

export interface EdgeContent {
  readonly kind: 'edge';
  /** Layered deployments name parts of the desired properties of $edgeAgent and lie on top of a base deployment. */
  readonly layered: boolean;
  readonly modules: ModuleSettings;
}

export interface TwinContent {
  readonly kind: 'device' | 'module';
  readonly settings: readonly DesiredSetting[];
}

/** The content of a configuration; `none` only where one was loaded without. */
export type Content = TwinContent | EdgeContent | { readonly kind: 'none' };

export type ContentKind = Content['kind'];

const kindsBySection = {
  deviceContent: 'device',
  moduleContent: 'module',
  modulesContent: 'edge',
} as const;

/** Names of the sections, in the order in which the service writes them. */
export const contentSections = ['modulesContent', 'moduleContent', 'deviceContent'] as const;

/** Nested objects that a section of a twin may have (§5). */
const deepestPath = 10;

/** Custom modules that one deployment may name (§5). */
const modulesPerDeployment = 50;

/**
 * Checks a content by the rules of §1.7: one section, keys `properties.desired[.path]`, `$edgeAgent` in
 * `modulesContent`. Sections that are null, or empty beside another, count as absent: clients write them.
 * @throws {ServiceError} InvalidConfigurationContent
 */
export function readContent(value: Json | undefined): Content {
  if (!isObject(value)) throw invalidContent('content is missing or not an object');
  const given = contentSections.flatMap((name) => {
    const section = value[name];
    if (section === undefined || section === null) return [];
    if (!isObject(section)) throw invalidContent(`${name} is not an object`);
    return [{ name, section }];
  });
  const filled = given.filter(({ section }) => Object.keys(section).length > 0);
  if (filled.length > 1) throw invalidContent('only one kind of content is allowed');
  const one = filled[0] ?? given[0];
  if (one === undefined) throw invalidContent(`one of ${contentSections.join(', ')} is needed`);
  const kind = kindsBySection[one.name];
  return kind === 'edge' ? readModules(one.section) : { kind, settings: readSettings(one.section, one.name) };
}

/**
 * Checks `modulesContent`.
 * @throws {ServiceError} InvalidConfigurationContent
 */
export function readModules(section: JsonObject): EdgeContent {
  const modules = new Map<string, readonly DesiredSetting[]>();
  for (const [moduleId, settings] of Object.entries(section)) {
    checkModuleName(moduleId);
    if (!isObject(settings)) throw invalidContent(`modulesContent.${moduleId} is not an object`);
    modules.set(moduleId, readSettings(settings, `modulesContent.${moduleId}`));
  }
  const agent = modules.get('$edgeAgent');
  if (agent === undefined) throw invalidContent('modulesContent needs $edgeAgent');
  const content: EdgeContent = {
    kind: 'edge',
    layered: !agent.some(({ path }) => path.length === 0),
    modules,
  };
  const named = new Set(modules.keys());
  for (const { path, value } of agent) for (const name of modulesNamedBy(path, value)) named.add(name);
  for (const moduleId of systemModuleIds) named.delete(moduleId);
  for (const moduleId of named) checkModuleName(moduleId);
  if (named.size > modulesPerDeployment) {
    throw invalidContent(`a deployment has at most ${modulesPerDeployment} modules`);
  }
  return content;
}

/** Modules to be run, as one setting of $edgeAgent names them: all of `modules`, or one by its path. */
function modulesNamedBy(path: readonly string[], value: Json): string[] {
  const [first, second] = path;
  if (first === undefined)
    return isObject(value) && isObject(value.modules) ? Object.keys(value.modules) : [];
  if (first !== 'modules') return [];
  if (second !== undefined) return value === null ? [] : [second];
  return isObject(value) ? Object.keys(value) : [];
}

function checkModuleName(moduleId: string): void {
  if (systemModuleIds.some((id) => id === moduleId)) return;
  try {
    checkId('module', moduleId);
  } catch {
    throw invalidContent(`module id '${moduleId}' is invalid`);
  }
  if (moduleId.startsWith('$')) throw invalidContent(`module id '${moduleId}' is reserved`);
}

function readSettings(section: JsonObject, where: string): DesiredSetting[] {
  return Object.entries(section).map(([key, value]) => {
    const [properties, desired, ...path] = key.split('.');
    if (properties !== 'properties' || desired !== 'desired' || path.includes('')) {
      throw invalidContent(`${where} has the key '${key}', it must be properties.desired or a path below`);
    }
    if (path.length === 0 && !isObject(value)) throw invalidContent(`${where}.${key} is not an object`);
    if (path.length > deepestPath || isTooDeep(value)) throw invalidContent(`${where}.${key} is too deep`);
    return { path, value };
  });
}

/** Deeper values would fit into no twin. */
function isTooDeep(value: Json): boolean {
  if (!isObject(value)) return false;
  try {
    checkTwinDepth(value);
    return false;
  } catch {
    return true;
  }
}

function invalidContent(what: string): ServiceError {
  return new ServiceError('InvalidConfigurationContent', `The configuration content is invalid: ${what}.`);
}
