import type { Call, Reply, Route } from '../router.js';
import { id, ok, readObject } from './reply.js';

const rights = 'jobsPolicy';

export const jobRoutes: readonly Route[] = [
  {
    name: 'POST /jobs/create',
    access: { rights, actions: ['jobs/write'] },
    operation: 'jobs',
    handle: createJob,
  },
  {
    name: 'GET /jobs',
    access: { rights, actions: ['jobs/read'] },
    operation: 'jobs',
    handle: ({ hub }) => {
      hub.jobs.checkTier();
      return ok(hub.jobs.list());
    },
  },
  {
    name: 'GET /jobs/{id}',
    access: { rights, actions: ['jobs/read'] },
    operation: 'jobs',
    handle: ({ hub, params }) => {
      hub.jobs.checkTier();
      return ok(hub.jobs.get(id(params, 0)));
    },
  },
  {
    name: 'DELETE /jobs/{id}',
    access: { rights, actions: ['jobs/delete'] },
    operation: 'jobs',
    handle: cancelJob,
  },
];

async function createJob({ hub, body }: Call): Promise<Reply> {
  return ok(await hub.jobs.create(readObject(body)));
}

function cancelJob({ hub, params }: Call): Reply {
  hub.jobs.checkTier();
  hub.jobs.cancel(id(params, 0));
  return { status: 204 };
}
