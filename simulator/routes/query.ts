import { ServiceError } from '../errors.js';
import type { Call, Reply, Route } from '../router.js';
import { readObject } from './reply.js';

export const queryRoutes: readonly Route[] = [
  {
    name: 'POST /devices/query',
    access: { rights: ['ServiceConnect'], actions: ['twins/read'] },
    operation: 'queries',
    handle: runQuery,
  },
];

function runQuery(call: Call): Reply {
  const text = readObject(call.body).query;
  if (typeof text !== 'string') throw new ServiceError('ArgumentInvalid', "BadRequest: 'query' is missing");
  // What is not acceptable as a size is replaced by another one (§1.6).
  const asked = Number(call.header('x-ms-max-item-count') ?? Number.NaN);
  const size = Number.isInteger(asked) && asked > 0 ? asked : undefined;
  // An empty token, which some clients send for the first page, counts as none.
  const page = call.hub.queries.page(text, size, call.header('x-ms-continuation') || undefined);
  const more = page.continuation === undefined ? {} : { 'x-ms-continuation': page.continuation };
  return { status: 200, json: page.rows, headers: { 'x-ms-item-type': page.itemType, ...more } };
}
