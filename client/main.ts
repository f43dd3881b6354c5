#!/usr/bin/env node
import { CommanderError } from 'commander';
import { HubferryError } from '../registry/errors.js';
import { fail } from './fail.js';
import { program } from './program.js';

async function main(): Promise<void> {
  // Whoever read our output is gone (`hubferry list | head -1`, a closed terminal): no reason to end with a stack.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  try {
    await program().parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      // commander has said it, or shown the help that was asked for.
      if (error.exitCode !== 0)
        fail(new HubferryError('USAGE', error.message.replace(/^error: /, '')), { said: true });
    } else fail(error);
  }
}

await main();
