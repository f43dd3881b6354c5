import { jsonEqual } from './compare.js';
import { type Configuration, type ConfigurationKind, settingsOf } from './configurations.js';
import { isJsonObject, type JsonObject } from './record.js';

/** One value that a configuration of the target writes to the twins that it matches. */
export interface ManagedValue {
  /** The configuration. */
  readonly id: string;
  /** Names below `properties.desired`, at least one. */
  readonly path: readonly string[];
  /** Never an object with members; null: it is taken away. */
  readonly value: unknown;
}

/** What configurations write, by what they write to. Deployments write to system modules, which are no records. */
export type Managed = Readonly<Record<Exclude<ConfigurationKind, 'edge'>, readonly ManagedValue[]>>;

/** Every value that the configurations with a target condition may have written. */
export function managedValues(configurations: readonly Configuration[]): Managed {
  const acting = configurations.filter(({ targetCondition }) => targetCondition !== '');
  const valuesOf = (wanted: ConfigurationKind): ManagedValue[] =>
    acting.flatMap((one) =>
      one.kind === wanted
        ? settingsOf(one).flatMap(({ path, value }) =>
            leavesOf(path, value).map((leaf) => ({ id: one.id, ...leaf })),
          )
        : [],
    );
  return { device: valuesOf('device'), module: valuesOf('module') };
}

interface Leaf {
  readonly path: readonly string[];
  readonly value: unknown;
}

/** The deployments with a target condition, which may have written to the system modules of edge devices. */
export function actingDeployments(configurations: readonly Configuration[]): Configuration[] {
  return configurations.filter(({ kind, targetCondition }) => kind === 'edge' && targetCondition !== '');
}

/** As `managersOf`, for one module of an edge device. A deployment may also set all of its desired properties. */
export function deploymentsOf(
  moduleId: string,
  desired: JsonObject,
  actual: JsonObject,
  deployments: readonly Configuration[],
): string[] {
  const settings = deployments.flatMap((one) =>
    settingsOf(one)
      .filter(({ module }) => module === moduleId)
      .map(({ path, value }) => ({ id: one.id, path, value })),
  );
  const whole = settings.filter(({ path, value }) => path.length === 0 && jsonEqual(value, actual));
  if (whole.length > 0) return whole.map(({ id }) => id);
  const leaves = settings.flatMap(({ id, path, value }) =>
    leavesOf(path, value).map((leaf) => ({ id, ...leaf })),
  );
  return managersOf(desired, actual, leaves);
}

/** Objects are merged into a twin, so it is their members that are owned. */
function leavesOf(path: readonly string[], value: unknown): Leaf[] {
  const names = isJsonObject(value) ? Object.keys(value) : [];
  if (!isJsonObject(value) || names.length === 0) return path.length === 0 ? [] : [{ path, value }];
  return names.flatMap((name) => leavesOf([...path, name], value[name]));
}

/**
 * The configurations that explain why desired properties of the target's twin are not as they should be: where the twin
 * holds what a configuration sets, nothing is compared. None where a difference is left, or where there was none.
 */
export function managersOf(
  desired: JsonObject,
  actual: JsonObject,
  managed: readonly ManagedValue[],
): string[] {
  const held = managed.filter(({ path, value }) => {
    const found = valueAt(actual, path);
    // A configuration that matches the twin has written its value: another one there is not its doing.
    return jsonEqual(found, value ?? undefined) && !jsonEqual(found, valueAt(desired, path));
  });
  const paths = held.map(({ path }) => path);
  if (held.length === 0 || !jsonEqual(without(desired, paths), without(actual, paths))) return [];
  return [...new Set(held.map(({ id }) => id))];
}

function valueAt(section: JsonObject, path: readonly string[]): unknown {
  let at: unknown = section;
  for (const name of path) at = isJsonObject(at) && Object.hasOwn(at, name) ? at[name] : undefined;
  return at;
}

/** The section without what stands at the paths, and without objects that hold nothing but that. */
function without(section: JsonObject, paths: readonly (readonly string[])[]): JsonObject {
  const here = paths.filter(({ length }) => length > 0);
  return Object.fromEntries(
    Object.entries(section).flatMap(([name, value]) => {
      const below = here.filter(([first]) => first === name).map((path) => path.slice(1));
      if (below.some(({ length }) => length === 0)) return [];
      if (below.length === 0 || !isJsonObject(value)) return [[name, value]];
      const rest = without(value, below);
      return Object.keys(rest).length === 0 ? [] : [[name, rest]];
    }),
  );
}
