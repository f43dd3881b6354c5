import { expect, test } from 'vitest';
import { logFields } from '../../worker/log-fields.js';

const RUN = '20260101-000000-abc123';

test.each([
  ['submitJob', { host: 'h', container: `hf-${RUN}-0001-1`, type: 'export' }, 'snapshot'],
  ['pollJob', { host: 'h', container: `hf-${RUN}-100000-1`, type: 'import' }, 'apply'],
  [
    'enqueueJob',
    { request: { job: { host: 'h', container: `hf-${RUN}-0001-1`, type: 'export' } } },
    'snapshot',
  ],
  ['reconcile', { host: 'h', work: `hf-${RUN}-work` }, 'plan'],
  ['writeReport', { report: { run: RUN, source: 's', target: 'h' } }, 'report'],
])('%s tells run, hub and stage', (activity, input, stage) => {
  expect(logFields(activity, input)).toEqual({ run: RUN, hub: 'h', stage });
});

test('what is not known is left out', () => {
  expect(logFields('checkHub', { host: 'h', account: 'a' })).toEqual({ hub: 'h' });
  expect(logFields('readManifest', { id: 'jobs-new' })).toEqual({});
  expect(logFields('anything', undefined)).toEqual({});
});
