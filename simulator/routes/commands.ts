import { deviceMissing } from '../records/writes.js';
import type { Call, Reply, Route } from '../router.js';
import { id, ok } from './reply.js';

export const commandRoutes: readonly Route[] = [
  {
    name: 'DELETE /devices/{id}/commands',
    access: { rights: ['ServiceConnect'], actions: ['cloudToDeviceMessages/queue/purge/action'] },
    operation: 'registry',
    handle: purge,
  },
];

/** Empties the queue of messages to a device (§1.2). Messages get there by loading a record that has some. */
function purge({ hub, params }: Call): Reply {
  const deviceId = id(params, 0);
  const device = hub.store.device(deviceId);
  if (device === undefined) throw deviceMissing(deviceId);
  if (device.queuedMessages > 0) hub.store.setDevice({ ...device, queuedMessages: 0 });
  return ok({ deviceId, totalMessagesPurged: device.queuedMessages });
}
