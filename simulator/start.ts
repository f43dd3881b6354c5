import { BearerTokens, type TokenAsk } from './access/bearer.js';
import { listenAdmin } from './admin/admin.js';
import { defaultCaDir, issueServerCertificate, loadAuthority } from './certificates.js';
import { SimulatedClock } from './clock.js';
import { ServiceError } from './errors.js';
import { SimulatedHub } from './hub.js';
import { type Door, type Listener, listen } from './listeners.js';
import type { SimulatorOptions } from './options.js';
import { serve } from './server.js';
import type { Simulator } from './simulator.js';
import { Faults } from './traffic/faults.js';
import { InternalErrors } from './traffic/internal-errors.js';
import { errorReply, render } from './traffic/send.js';

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
