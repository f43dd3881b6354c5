import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Milliseconds after which it is killed; left out: never. */
  readonly timeout?: number;
  /** Called for each line of standard output as it comes. */
  readonly onLine?: (line: string) => void;
}

/** A tool that is not on PATH. */
export class ToolMissing extends Error {}

/**
 * Runs a command to its end, whatever its exit code; that is null when it was killed.
 * @throws {ToolMissing} when there is no such command.
 */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Ended> {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: options.env ?? process.env,
    killSignal: 'SIGKILL',
    timeout: options.timeout,
  });
  const endWithUs = (): void => void child.kill('SIGKILL');
  process.once('exit', endWithUs);
  let stdout = '';
  let stderr = '';
  createInterface({ input: child.stdout }).on('line', (line) => {
    stdout += `${line}\n`;
    options.onLine?.(line);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    return { code, stdout, stderr };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new ToolMissing(`'${command}' is not installed, or not on PATH`);
    }
    throw error;
  } finally {
    process.off('exit', endWithUs);
  }
}

/**
 * Runs a command that must succeed.
 * @returns its standard output.
 * @throws {ToolMissing} when there is no such command; {Error} with the end of its output when it fails.
 */
export async function must(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, options);
  if (code === 0) return stdout;
  const output = `${stdout}\n${stderr}`.trim().split('\n').slice(-15).join('\n');
  throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${output}`);
}
