import type { Route } from '../router.js';
import { id, ok } from './reply.js';

const rights = 'configurationsPolicy';
const read = { rights, actions: ['configurations/read'] } as const;

export const configurationRoutes: readonly Route[] = [
  {
    name: 'GET /configurations',
    access: read,
    operation: 'configurations',
    handle: ({ hub }) => ok(hub.configurations.list()),
  },
  {
    name: 'GET /configurations/{id}',
    access: read,
    operation: 'configurations',
    handle: ({ hub, params }) => ok(hub.configurations.get(id(params, 0))),
  },
];
