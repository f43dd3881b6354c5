import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import { runOfContainer } from '../registry/containers.js';
import { propertyOf, textOf } from './unknown.js';

/** What every line about a run says: whose it is, which hub it is about, and in which stage it was. */
export interface LogFields {
  readonly run?: string;
  readonly hub?: string;
  readonly stage?: string;
}

/** The stage of activities that belong to one; others are told by the type of their job, or by none. */
const STAGES: Readonly<Record<string, string>> = {
  preflight: 'preflight',
  statistics: 'snapshot',
  sealSnapshot: 'snapshot',
  transform: 'transform',
  partition: 'plan',
  reconcile: 'plan',
  stageChunk: 'apply',
  readErrorLog: 'apply',
  sendByRest: 'apply',
  readManagers: 'apply',
  restoreManagers: 'apply',
  listEdges: 'apply',
  readEdgeScopes: 'apply',
  sendManifests: 'apply',
  writeReport: 'report',
  cleanUp: 'report',
};

/** What the input of an activity tells of it. */
export function logFields(activity: string, input: unknown): LogFields {
  const request = propertyOf(input, 'request') ?? input;
  const job = propertyOf(request, 'job') ?? request;
  const report = propertyOf(input, 'report');
  const containers = ['container', 'work'].flatMap((name) => textOf(job, name) ?? []);
  const run =
    textOf(input, 'run') ?? textOf(report, 'run') ?? containers.map(runOfContainer).find((name) => name);
  const hub = textOf(job, 'host') ?? textOf(report, 'target') ?? textOf(report, 'source');
  const type = textOf(job, 'type');
  const stage =
    STAGES[activity] ?? (type === 'export' ? 'snapshot' : type === 'import' ? 'apply' : undefined);
  return {
    ...(run === undefined ? {} : { run }),
    ...(hub === undefined ? {} : { hub }),
    ...(stage === undefined ? {} : { stage }),
  };
}

/** Gives these fields to every line that the SDK or an activity logs. */
export const activityLogFields: ActivityInterceptorsFactory = ({ info }) => {
  let fields: LogFields = {};
  return {
    inbound: {
      execute: async (input, next) => {
        fields = logFields(info.activityType, input.args[0]);
        return await next(input);
      },
    },
    outbound: {
      getLogAttributes: (attributes, next) => next({ ...attributes, ...fields }),
    },
  };
};
