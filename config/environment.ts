import { HubferryError } from '../registry/errors.js';

/** Where a value stands in a configuration: object keys and array positions from the root. */
export type Path = readonly (string | number)[];

const REFERENCE = /\$\{([^}]*)(\}?)/g;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * Replaces every `${NAME}` in the string values of `value` (keys stay as they are; what a variable holds is not looked
 * into again).
 *
 * @param where says in words where a path stands, for the message; the text itself is never in it, it may be a secret
 * @throws HubferryError ENV_NOT_SET; CONFIG_INVALID for a reference that is not one
 */
export function replaceReferences(
  value: unknown,
  env: NodeJS.ProcessEnv,
  where: (path: Path) => string,
  path: Path = [],
): unknown {
  if (typeof value === 'string') return replaceIn(value, env, () => where(path));
  if (Array.isArray(value))
    return value.map((item, index) => replaceReferences(item, env, where, [...path, index]));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, replaceReferences(item, env, where, [...path, key])]),
  );
}

function replaceIn(text: string, env: NodeJS.ProcessEnv, where: () => string): string {
  return text.replace(REFERENCE, (_all, name: string, end: string) => {
    if (end === '') throw new HubferryError('CONFIG_INVALID', `${where()}: "\${" without its "}"`);
    if (!NAME.test(name)) {
      throw new HubferryError(
        'CONFIG_INVALID',
        `${where()}: "\${…}" holds something that is not the name of an environment variable`,
      );
    }
    const found = env[name];
    if (found === undefined) {
      throw new HubferryError('ENV_NOT_SET', `${where()}: environment variable ${name} is not set`);
    }
    return found;
  });
}
