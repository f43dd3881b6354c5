import { readContent } from '../configurations/content.js';
import { applyManifest } from '../configurations/manifest.js';
import { ServiceError } from '../errors.js';
import { deviceMissing } from '../records/writes.js';
import type { Call, Reply, Route } from '../router.js';
import { id, ok, okWithEtag, readObject } from './reply.js';

const rights = 'configurationsPolicy';
const read = { rights, actions: ['configurations/read'] } as const;
const write = { rights, actions: ['configurations/write'] } as const;
const remove = { rights, actions: ['configurations/delete'] } as const;
const test = { rights, actions: ['configurations/testQueries/action'] } as const;
const apply = { rights, actions: ['configurations/applyToEdgeDevice/action'] } as const;

const operation = 'configurations';

export const configurationRoutes: readonly Route[] = [
  // `top` is ignored (§1.2).
  {
    name: 'GET /configurations',
    access: read,
    operation,
    handle: ({ hub }) => ok(hub.configurations.list()),
  },
  {
    name: 'GET /configurations/{id}',
    access: read,
    operation,
    handle: ({ hub, params }) => withEtag(hub.configurations.get(id(params, 0))),
  },
  { name: 'PUT /configurations/{id}', access: write, operation, handle: putConfiguration },
  { name: 'DELETE /configurations/{id}', access: remove, operation, handle: deleteConfiguration },
  {
    name: 'POST /configurations/testQueries',
    access: test,
    operation,
    handle: ({ hub, body }) => ok(hub.configurations.testQueries(readObject(body))),
  },
  {
    name: 'POST /devices/{id}/applyConfigurationContent',
    access: apply,
    operation: 'applyThrottle',
    handle: applyContent,
  },
];

function putConfiguration(call: Call): Reply {
  const { configurations } = call.hub;
  return withEtag(configurations.put(id(call.params, 0), readObject(call.body), readQuotedMatch(call)));
}

function deleteConfiguration(call: Call): Reply {
  call.hub.configurations.remove(id(call.params, 0), readQuotedMatch(call));
  return { status: 204 };
}

function applyContent({ hub, params, body }: Call): Reply {
  const { store } = hub;
  const deviceId = id(params, 0);
  const content = readContent(readObject(body));
  // What is seen may lag, as with every other request about a device.
  if (store.seeDevice(deviceId, 'get') === undefined) throw deviceMissing(deviceId);
  const device = store.device(deviceId);
  if (device === undefined) throw deviceMissing(deviceId);
  if (!device.iotEdge) throw new ServiceError('ArgumentInvalid', 'Not an Azure IoT Edge device');
  if (content.kind !== 'edge') {
    throw new ServiceError('InvalidConfigurationContent', 'The configuration content needs modulesContent.');
  }
  applyManifest(store, deviceId, [content]);
  return { status: 204 };
}

function withEtag(json: { etag?: unknown }): Reply {
  return okWithEtag(json, String(json.etag));
}

/**
 * The If-Match header of a configuration: only a quoted etag counts (§1.4). An unquoted one is as good as none, so that
 * an update with it is taken for a create. `*` may stand alone.
 */
function readQuotedMatch(call: Call): string | undefined {
  const value = call.header('if-match')?.trim();
  return value === '*' ? value : /^"(.*)"$/s.exec(value ?? '')?.[1];
}
