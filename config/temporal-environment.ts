import { createRequire } from 'node:module';
import type * as envconfig from '@temporalio/envconfig';
import { HubferryError } from '../registry/errors.js';
import type { TemporalConfig } from './model.js';

/**
 * Where Temporal is and who we are there, by its own conventions: the variables TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE,
 * TEMPORAL_API_KEY, TEMPORAL_TLS…, and before them a profile of the file that TEMPORAL_CONFIG_FILE names (default:
 * temporalio/temporal.toml in the user's configuration folder). No network is touched.
 *
 * @param profile of that file; left out, TEMPORAL_PROFILE or `default`
 * @param place where the configuration asks for it
 * @throws HubferryError CONFIG_INVALID, without a word of what was read: it may be an API key
 */
export function temporalFromEnvironment(
  profile: string | undefined,
  env: NodeJS.ProcessEnv,
  place: string,
): TemporalConfig {
  const { connectionOptions, namespace = 'default' } = load(profile, env, place);
  const { address, tls, apiKey, metadata } = connectionOptions;
  if (address === undefined) {
    const hint = 'Set TEMPORAL_ADDRESS to host:port, or name a profile that has an address.';
    throw new HubferryError('CONFIG_INVALID', `${place}: the environment names no Temporal server`, hint);
  }
  return {
    address,
    namespace,
    access: {
      ...(tls === undefined || tls === null ? {} : { tls }),
      ...(typeof apiKey === 'string' ? { apiKey } : {}),
      ...(metadata === undefined ? {} : { metadata }),
    },
  };
}

/** Loaded when it is first asked for: commands that do not need it start sooner. */
const library = (): typeof envconfig =>
  createRequire(import.meta.url)('@temporalio/envconfig') as typeof envconfig;

function load(
  profile: string | undefined,
  env: NodeJS.ProcessEnv,
  place: string,
): envconfig.ClientConnectConfig {
  const set = Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
  try {
    return library().loadClientConnectConfig({
      ...(profile === undefined ? {} : { profile }),
      overrideEnvVars: Object.fromEntries(set) as Record<string, string>,
    });
  } catch (error) {
    // The words of a parser quote the file.
    const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
    const what = profile === undefined ? 'TEMPORAL_… of the environment' : `the profile ‘${profile}’`;
    throw new HubferryError(
      'CONFIG_INVALID',
      `${place}: ${what}, or a file named there, cannot be read${code}`,
    );
  }
}
