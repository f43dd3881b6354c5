import type { Access } from '../access/access.js';
import { ServiceError } from '../errors.js';
import type { Route } from '../router.js';
import { id, ok } from './reply.js';

/** Entra ID knows permissions of these routes that the simulator does not: whoever has a token is told the rest. */
const service: Access = { rights: ['ServiceConnect'], actions: [] };
const device: Access = { rights: ['DeviceConnect'], actions: [] };

/** What the simulator leaves out, and the routes of the service that belong to it. */
const leftOut: readonly {
  readonly what: string;
  readonly access: Access;
  readonly names: readonly string[];
}[] = [
  {
    what: 'scheduled jobs',
    access: { rights: ['ServiceConnect'], actions: ['jobs/read'] },
    names: ['GET /jobs/v2/query'],
  },
  {
    what: 'scheduled jobs',
    access: { rights: ['ServiceConnect'], actions: ['jobs/write'] },
    names: ['PUT /jobs/v2/{id}', 'POST /jobs/v2/{id}/cancel'],
  },
  {
    what: 'direct methods',
    access: service,
    names: ['POST /twins/{id}/methods', 'POST /twins/{id}/modules/{mid}/methods'],
  },
  {
    what: 'digital twins',
    access: service,
    names: [
      'GET /digitaltwins/{id}',
      'PATCH /digitaltwins/{id}',
      'POST /digitaltwins/{id}/commands/{name}',
      'POST /digitaltwins/{id}/components/{path}/commands/{name}',
    ],
  },
  {
    what: 'messages to devices',
    access: service,
    names: [
      'POST /messages/devicebound',
      'GET /messages/servicebound/feedback',
      'DELETE /messages/servicebound/feedback/{token}',
      'POST /messages/servicebound/feedback/{token}/abandon',
    ],
  },
  {
    what: 'file uploads',
    access: service,
    names: [
      'GET /messages/servicebound/filenotifications',
      'DELETE /messages/servicebound/filenotifications/{token}',
      'POST /messages/servicebound/filenotifications/{token}/abandon',
    ],
  },
  {
    what: 'file uploads',
    access: device,
    names: ['POST /devices/{id}/files', 'POST /devices/{id}/files/notifications'],
  },
  {
    what: 'messages of devices',
    access: device,
    names: [
      'POST /devices/{id}/messages/events',
      'POST /devices/{id}/modules/{mid}/messages/events',
      'GET /devices/{id}/messages/devicebound',
      'DELETE /devices/{id}/messages/devicebound/{token}',
      'POST /devices/{id}/messages/devicebound/{token}/abandon',
    ],
  },
];

/**
 * Routes of the service that the simulator knows but does not act on: they are counted and can be faulted like all
 * others, and their answer says why nothing happened.
 */
export const outOfScopeRoutes: readonly Route[] = [
  ...leftOut.flatMap(({ what, access, names }) =>
    names.map(
      (name): Route => ({
        name,
        access,
        operation: 'registry',
        handle: () => {
          throw new ServiceError('InvalidOperation', `The simulator does not simulate ${what}.`);
        },
      }),
    ),
  ),
  {
    // The service answers an unknown id like this (§1.2, seen live), and here every id is unknown.
    name: 'GET /jobs/v2/{id}',
    access: { rights: ['ServiceConnect'], actions: ['jobs/read'] },
    operation: 'jobs',
    handle: ({ params }) => ok({ jobId: id(params, 0), type: 'unknown', status: 'unknown' }),
  },
];
