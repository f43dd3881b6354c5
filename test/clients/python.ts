import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { filledFolder } from './cache.js';
import type { Client } from './client.js';
import { must } from './commands.js';

const sources = fileURLToPath(new URL('./python', import.meta.url));
const requirements = join(sources, 'requirements.txt');

/** Microsoft's service client for Python, in a virtual environment. */
export const python: Client = {
  name: 'Python',
  install: async () => {
    const version = (await must('python3', ['--version'])).trim();
    const parts = { files: [requirements], text: version };
    const { folder, reused } = await filledFolder('python', parts, async (made) => {
      await must('python3', ['-m', 'venv', made]);
      const pip = join(made, 'bin', 'pip');
      // The list is complete, and nothing that it does not name may come in.
      await must(pip, ['install', '--no-deps', '--disable-pip-version-check', '-r', requirements]);
      await must(pip, ['check']);
    });
    return {
      versions: `azure-iot-hub ${pinned('azure-iot-hub')}, ${version}`,
      reused,
      script: async ({ caFile, env }) => ({
        command: join(folder, 'bin', 'python'),
        args: ['-B', join(sources, 'operations.py')],
        // The client goes over `requests`, which brings its own list of authorities unless told otherwise.
        env: { ...env, REQUESTS_CA_BUNDLE: caFile },
      }),
    };
  },
};

function pinned(name: string): string {
  const lines = readFileSync(requirements, 'utf8').split('\n');
  const line = lines.find((one) => one.startsWith(`${name}==`));
  if (line === undefined) throw new Error(`${name} is not in requirements.txt`);
  return line.slice(name.length + 2);
}
