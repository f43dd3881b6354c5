import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type HubOptions, type SimulatedHub, type Simulator, startSimulator } from '../../simulator/index.js';
import { RestClient } from './client.js';

/** One simulator with a hub `a` and a bare client for it, in folders of its own. */
export interface Stand {
  readonly sim: Simulator;
  readonly hub: SimulatedHub;
  readonly client: RestClient;
  close(): Promise<void>;
}

export async function startStand(
  options: Partial<HubOptions> = {},
  adminPort: number | false = false,
): Promise<Stand> {
  const caDir = mkdtempSync(path.join(tmpdir(), 'hubferry-sim-'));
  const sim = await startSimulator({
    hubs: [{ name: 'a', ...options }, { name: 'b' }],
    caDir,
    seed: 1,
    adminPort,
  });
  const hub = sim.hub('a');
  const client = new RestClient(sim, hub);
  return {
    sim,
    hub,
    client,
    close: async () => {
      client.close();
      await sim.close();
      rmSync(caDir, { recursive: true });
    },
  };
}
