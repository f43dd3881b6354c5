import type { RequestListener } from 'node:http';
import { listenAdmin } from './admin/admin.js';
import { defaultCaDir, issueServerCertificate, loadAuthority } from './certificates.js';
import { SimulatedClock } from './clock.js';
import { SimulatedHub } from './hub.js';
import { type Listener, listen } from './listeners.js';
import { serve } from './server.js';
import type { SimulatorOptions } from './settings.js';

export type { PolicyName } from './access/sas.js';
export { AdminError, type HubAdmin, SimulatorAdmin } from './admin/admin-client.js';
export { type FleetOptions, generateFleet } from './fleet.js';
export type { SimulatedHub } from './hub.js';
export type { JobFault } from './jobs/job-faults.js';
export type { FleetRecord, FullRecord } from './records/full-record.js';
export type { Authentication } from './records/records.js';
export { defaultSettings, type HubOptions, type HubSettings, type SimulatorOptions } from './settings.js';
export type { FaultRule } from './traffic/faults.js';

/** A running simulator. */
export interface Simulator {
  /** The port that all hubs share. */
  readonly port: number;
  /** The port of the admin API, when one was asked for. */
  readonly adminPort?: number;
  /** The certificate that clients must trust, for NODE_EXTRA_CA_CERTS or the `ca` of an agent. */
  readonly caFile: string;
  readonly hubs: readonly SimulatedHub[];
  /** The time of all hubs. */
  readonly clock: SimulatedClock;
  /** @throws {Error} for an unknown name. */
  hub(name: string): SimulatedHub;
  /** Stops jobs, closes all connections and frees the ports. */
  close(): Promise<void>;
}

/**
 * Starts hubs on loopback.
 * @throws {TypeError} for bad options; {Error} with code EADDRINUSE for a port in use.
 */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const clock = new SimulatedClock();
  const hubs = options.hubs.map((hub) => new SimulatedHub(hub, options.seed, clock));
  if (hubs.length === 0) throw new TypeError('a simulator needs at least one hub');
  const byHost = new Map(hubs.map((hub) => [`${hub.name}.localhost`, hub]));
  if (byHost.size !== hubs.length) throw new TypeError('two hubs have the same name');
  const authority = await loadAuthority(options.caDir ?? defaultCaDir());
  const tls = await issueServerCertificate(authority, [...byHost.keys()]);
  const handler =
    (findHub: (host: string) => SimulatedHub | undefined): RequestListener =>
    (request, response) => {
      // A request that breaks off is the client's business; its connection is gone either way.
      serve(request, response, findHub).catch(() => request.socket.destroy());
    };
  const listeners: Listener[] = [];
  const close = async (): Promise<void> => {
    await Promise.all([
      ...hubs.map((hub) => hub.jobs.close()),
      ...listeners.map((listener) => listener.close()),
    ]);
  };
  try {
    const shared = await listen(
      options.port ?? 0,
      tls,
      handler((host) => byHost.get(host)),
    );
    listeners.push(shared);
    for (const [i, hub] of hubs.entries()) {
      const ownPort = options.hubs[i]?.ownPort;
      const own =
        ownPort === undefined
          ? undefined
          : await listen(
              ownPort,
              tls,
              handler(() => hub),
            );
      if (own !== undefined) listeners.push(own);
      hub.listensAs(
        `${hub.name}.localhost:${shared.port}`,
        own === undefined ? undefined : `localhost:${own.port}`,
      );
    }
    const { adminPort = false } = options;
    const admin = adminPort === false ? undefined : await listenAdmin(adminPort, hubs);
    if (admin !== undefined) listeners.push(admin);
    return {
      port: shared.port,
      ...(admin === undefined ? {} : { adminPort: admin.port }),
      caFile: authority.caFile,
      hubs,
      clock,
      hub: (name) => {
        const hub = byHost.get(`${name.toLowerCase()}.localhost`);
        if (hub === undefined) throw new Error(`there is no hub '${name}'`);
        return hub;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
