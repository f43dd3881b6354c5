import { spawnSync } from 'node:child_process';
import { findChromium } from './chromium.js';

/** Installs Chromium by apt where there is none. Ends with 1, and says what to do, where that cannot be done. */
function install(): void {
  const root = process.getuid?.() === 0;
  const apt = (...args: readonly string[]): boolean => {
    const command = ['apt-get', ...args];
    const [program = '', ...rest] = root ? command : ['sudo', '--non-interactive', ...command];
    process.stderr.write(`${[program, ...rest].join(' ')}\n`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    return spawnSync(program, rest, { stdio: ['ignore', 'ignore', 'inherit'], env }).status === 0;
  };
  const wanted = ['install', '-y', '--no-install-recommends', 'chromium'] as const;
  // Lists of packages may be missing or old.
  if (apt(...wanted) || (apt('update') && apt(...wanted))) return;
  process.stderr.write(
    'There is no Chromium on the PATH, and apt-get cannot install it here.\n' +
      'Install Chromium or Chrome, so that `chromium` or `google-chrome` is on the PATH.\n',
  );
  process.exitCode = 1;
}

if (findChromium() === null) install();
