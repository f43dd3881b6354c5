import { describe, expect, it } from 'vitest';
import { Connections } from '../../azure/connections.js';
import type { Config, HubConfig } from '../../config/model.js';

const hub = (alias: string, host: string, readOnly: boolean): HubConfig => ({
  alias,
  host,
  connectionString: `HostName=${host};SharedAccessKeyName=p;SharedAccessKey=c2VjcmV0`,
  readOnly,
  tier: 'S1',
  units: 1,
  maxRecords: 7,
});

const account = 'https://acct.blob.core.windows.net';
const config: Config = {
  path: '/x/hubferry.yaml',
  hash: '',
  hubs: new Map([
    ['a', hub('a', 'a.net', true)],
    ['b', hub('b', 'b.net:8443', false)],
  ]),
  storage: {
    account,
    connectionString: `DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=c2VjcmV0;BlobEndpoint=${account}`,
  },
  temporal: null,
  metricsAddress: null,
  rates: 1,
  keys: [],
  keyId: null,
  settings: {
    chunkLines: 1,
    maxLineBytes: 1,
    partitionBytes: 1,
    planMaxAge: 1,
    settle: 1,
    poll: { first: 1, max: 1 },
    slotWait: 1,
    jobDeadline: 1,
    sasLifetime: 1,
    repairRounds: 1,
    heartbeat: 1,
    edgePoll: 1,
    visible: 1,
  },
};

describe('Connections', () => {
  it('finds hubs by their host', async () => {
    const connections = new Connections(config);
    expect(connections.hub('b.net:8443')).toMatchObject({ host: 'b.net:8443', policy: 'p' });
    expect(connections.hub('b.net:8443')).not.toBe(connections.hub('b.net:8443'));
    expect(connections.hubConfig('a.net')).toMatchObject({ alias: 'a', maxRecords: 7 });
    await expect(connections.hub('a.net').probeWrite()).rejects.toMatchObject({ code: 'HUB_READ_ONLY' });
    connections.close();
  });

  it('has nothing that is not configured', () => {
    const connections = new Connections(config);
    expect(() => connections.hub('b.net')).toThrow(
      expect.objectContaining({
        code: 'HUB_NOT_CONFIGURED_HERE',
        message: '/x/hubferry.yaml has no hub with the host b.net',
      }),
    );
    expect(connections.storage(account).account).toBe(account);
    expect(() => connections.storage('https://other')).toThrow(
      expect.objectContaining({
        code: 'STORAGE_NOT_CONFIGURED_HERE',
        message: `/x/hubferry.yaml has storage ${account}; asked for was https://other`,
      }),
    );
    expect(() => new Connections({ ...config, storage: null }).storage(account)).toThrow(
      expect.objectContaining({ code: 'STORAGE_NOT_CONFIGURED_HERE' }),
    );
  });
});
