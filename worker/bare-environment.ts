/** What any program may need to know: where things are, and which language to speak. */
const ORDINARY = /^(?:PATH|HOME|TMPDIR|TZ|LANG|LC_[A-Z]+|XDG_[A-Z_]+)$/;

/**
 * An environment for a program that is not ours: without the secrets that our own may hold.
 *
 * @param also names that this program needs besides the ordinary ones
 */
export function bareEnvironment(env: NodeJS.ProcessEnv, also?: RegExp): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => ORDINARY.test(name) || also?.test(name)));
}
