import type { Command } from 'commander';
import { approveCommand } from './approve.js';
import { cancelCommand } from './cancel.js';
import { checkCommand } from './check.js';
import { cutBackCommand } from './cut-back.js';
import { downCommand } from './down.js';
import { drillCommand } from './drill.js';
import { editCommand } from './edit.js';
import { gcCommand } from './gc.js';
import { initCommand } from './init.js';
import { listCommand } from './list.js';
import { migrateCommand, planCommand, verifyCommand } from './migrate.js';
import { pauseCommand, resumeCommand } from './pause.js';
import { reportCommand } from './report.js';
import { rollbackCommand } from './rollback.js';
import { scheduleCommand } from './schedule.js';
import { simulatorCommand } from './simulator.js';
import { snapshotCommand } from './snapshot.js';
import { statusCommand } from './status.js';
import { throttleCommand } from './throttle.js';
import { upCommand } from './up.js';
import { watchCommand } from './watch.js';
import { workerCommand } from './worker.js';

/** The factories of the verbs, in the order in which help lists them. A command keeps what it parsed: each is made anew. */
export const VERBS: readonly (() => Command)[] = [
  migrateCommand,
  planCommand,
  verifyCommand,
  editCommand,
  rollbackCommand,
  snapshotCommand,
  drillCommand,
  scheduleCommand,
  initCommand,
  checkCommand,
  statusCommand,
  listCommand,
  watchCommand,
  pauseCommand,
  resumeCommand,
  approveCommand,
  cancelCommand,
  cutBackCommand,
  throttleCommand,
  reportCommand,
  gcCommand,
  upCommand,
  downCommand,
  workerCommand,
  simulatorCommand,
];
