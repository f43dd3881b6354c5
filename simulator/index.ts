import { BearerTokens, type TokenAsk } from './access/bearer.js';
import { listenAdmin } from './admin/admin.js';
import { defaultCaDir, issueServerCertificate, loadAuthority } from './certificates.js';
import { SimulatedClock } from './clock.js';
import { ServiceError } from './errors.js';
import { SimulatedHub } from './hub.js';
import { type Door, type Listener, listen } from './listeners.js';
import { serve } from './server.js';
import type { SimulatorOptions } from './settings.js';
import { Faults } from './traffic/faults.js';
import { InternalErrors } from './traffic/internal-errors.js';
import { errorReply, render } from './traffic/send.js';

export type { TokenAsk } from './access/bearer.js';
export type { DataAction } from './access/rights.js';
export type { RoleName } from './access/roles.js';
export type { PolicyName } from './access/sas.js';
export { AdminError, type HubAdmin, SimulatorAdmin } from './admin/admin-client.js';
export { type FleetOptions, generateFleet } from './fleet.js';
export type { SimulatedHub } from './hub.js';
export type { JobFault } from './jobs/job-faults.js';
export type { FleetRecord, FullRecord } from './records/full-record.js';
export type { Authentication } from './records/records.js';
export { defaultSettings, type HubOptions, type HubSettings, type SimulatorOptions } from './settings.js';
export type { FaultRule, PlacedFault } from './traffic/faults.js';
export { type Rate, rateOf, type Tier } from './traffic/rates.js';

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
  /** Faults that may hit any of the hubs. */
  readonly faults: Faults;
  /** @throws {Error} for an unknown name. */
  hub(name: string): SimulatedHub;
  /** A token as Microsoft Entra ID would issue it, good for all hubs; by default with every right. */
  bearerToken(ask?: TokenAsk): Promise<string>;
  /** Mistakes of the simulator itself, of all hubs; there should be none. */
  internalErrors(): readonly string[];
  /** Resets all hubs, and what they share: the clock and faults. */
  reset(): void;
  /** Stops jobs, closes all connections and frees the ports. */
  close(): Promise<void>;
}

/**
 * Starts hubs on loopback.
 * @throws {TypeError} for bad options; {Error} with code EADDRINUSE for a port in use.
 */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const clock = new SimulatedClock();
  const faults = new Faults();
  const tokens = new BearerTokens(options.seed);
  const hubs = options.hubs.map(
    (hub) => new SimulatedHub(hub, { seed: options.seed, clock, tokens, faults }),
  );
  if (hubs.length === 0) throw new TypeError('a simulator needs at least one hub');
  const byHost = new Map(hubs.map((hub) => [`${hub.name}.localhost`, hub]));
  if (byHost.size !== hubs.length) throw new TypeError('two hubs have the same name');
  const authority = await loadAuthority(options.caDir ?? defaultCaDir());
  const tls = await issueServerCertificate(authority, [...byHost.keys()]);
  const internalErrors = new InternalErrors();
  const door = (findHub: (host: string) => SimulatedHub | undefined, admits: Door['admits']): Door => ({
    handle: (request, response) => void serve(request, response, { findHub, clock, internalErrors }),
    refuse: (status, text) =>
      render(errorReply(new ServiceError('GenericBadRequest', text), clock.now(), status)),
    admits,
  });
  const listeners: Listener[] = [];
  const close = async (): Promise<void> => {
    await Promise.all([...hubs.map((hub) => hub.close()), ...listeners.map((listener) => listener.close())]);
  };
  try {
    const findHub = (host: string): SimulatedHub | undefined => byHost.get(host);
    const shared = await listen(
      options.port ?? 0,
      tls,
      // Which hub is meant shows only in the handshake.
      door(
        findHub,
        (name) => name === undefined || findHub(name.toLowerCase())?.faults.takeConnection() !== true,
      ),
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
              door(
                () => hub,
                (name) => name !== undefined || !hub.faults.takeConnection(),
              ),
            );
      if (own !== undefined) listeners.push(own);
      hub.listensAs(
        `${hub.name}.localhost:${shared.port}`,
        own === undefined ? undefined : `localhost:${own.port}`,
      );
    }
    const simulator = {
      port: shared.port,
      caFile: authority.caFile,
      hubs,
      clock,
      faults,
      hub: (name: string) => {
        const hub = byHost.get(`${name.toLowerCase()}.localhost`);
        if (hub === undefined) throw new Error(`there is no hub '${name}'`);
        return hub;
      },
      bearerToken: (ask?: TokenAsk) => tokens.issue(ask),
      internalErrors: () => [...internalErrors.list(), ...hubs.flatMap((hub) => hub.internalErrors.list())],
      reset: () => {
        for (const hub of hubs) hub.reset();
        faults.clear();
        internalErrors.clear();
        clock.reset();
      },
      close,
    };
    const { adminPort = false } = options;
    if (adminPort === false) return simulator;
    const admin = await listenAdmin(adminPort, simulator);
    listeners.push(admin);
    return { ...simulator, adminPort: admin.port };
  } catch (error) {
    await close();
    throw error;
  }
}
