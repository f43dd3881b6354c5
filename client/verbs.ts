import type { Command } from 'commander';
import { approveCommand } from './approve.js';
import { checkCommand } from './check.js';
import { downCommand } from './down.js';
import { editCommand } from './edit.js';
import { initCommand } from './init.js';
import { migrateCommand, planCommand, verifyCommand } from './migrate.js';
import { rollbackCommand } from './rollback.js';
import { simulatorCommand } from './simulator.js';
import { snapshotCommand } from './snapshot.js';
import { listCommand, statusCommand } from './status.js';
import { upCommand } from './up.js';
import { workerCommand } from './worker.js';

/** The factories of the verbs, in the order in which help lists them. A command keeps what it parsed: each is made anew. */
export const VERBS: readonly (() => Command)[] = [
  migrateCommand,
  planCommand,
  verifyCommand,
  editCommand,
  rollbackCommand,
  approveCommand,
  snapshotCommand,
  initCommand,
  checkCommand,
  statusCommand,
  listCommand,
  upCommand,
  downCommand,
  workerCommand,
  simulatorCommand,
];
