import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Server } from 'node:tls';
import { NativeConnection } from '@temporalio/worker';
import { generate } from 'selfsigned';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { loadConfig } from '../../config/index.js';
import { issueServerCertificate, loadAuthority } from '../../simulator/certificates.js';
import { connectClient } from '../../worker/connection.js';

const folder = mkdtempSync(join(tmpdir(), 'hubferry-tls-'));
let server: Server;
let env: NodeJS.ProcessEnv;

/** TLS in front of the Temporal server of the set-up, for clients with a certificate. */
beforeAll(async () => {
  const authority = await loadAuthority(join(folder, 'ca'));
  const { key, cert } = await issueServerCertificate(authority, []);
  const client = await generate([{ name: 'commonName', value: 'worker' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    ca: { key: authority.key, cert: authority.cert },
    extensions: [{ name: 'extKeyUsage', clientAuth: true }],
  });
  const [host, port] = inject('temporalAddress').split(':');
  const options = { key, cert, ca: authority.cert, requestCert: true, ALPNProtocols: ['h2'] };
  server = createServer(options, (socket) => {
    const inner = connect(Number(port), host);
    for (const end of [socket, inner]) end.on('error', () => undefined);
    socket.pipe(inner).pipe(socket);
  });
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  writeFileSync(join(folder, 'client.crt'), client.cert);
  writeFileSync(join(folder, 'client.key'), client.private);
  writeFileSync(join(folder, 'hubferry.yaml'), 'hubs: {}\ntemporal: { environment: true }\n');
  env = {
    TEMPORAL_CONFIG_FILE: join(folder, 'none.toml'),
    TEMPORAL_ADDRESS: `localhost:${(server.address() as AddressInfo).port}`,
    TEMPORAL_NAMESPACE: 'default',
    TEMPORAL_TLS_SERVER_CA_CERT_PATH: authority.caFile,
    TEMPORAL_TLS_CLIENT_CERT_PATH: join(folder, 'client.crt'),
    TEMPORAL_TLS_CLIENT_KEY_PATH: join(folder, 'client.key'),
  };
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const temporalOf = (own: NodeJS.ProcessEnv) => {
  const { temporal } = loadConfig({ cwd: folder, env: own });
  if (temporal === null) throw new Error('there is no server');
  return temporal;
};

it('clients and workers connect over TLS with a certificate of their own', async () => {
  const temporal = temporalOf(env);
  const { connection } = await connectClient(temporal);
  await connection.close();
  const native = await NativeConnection.connect({ address: temporal.address, ...temporal.access });
  await native.close();
});

it('without the certificate they are not let in, and are told so', async () => {
  const { TEMPORAL_TLS_CLIENT_CERT_PATH: _crt, TEMPORAL_TLS_CLIENT_KEY_PATH: _key, ...without } = env;
  await expect(connectClient(temporalOf(without), { connectTimeout: 2_000 })).rejects.toMatchObject({
    code: 'TEMPORAL_UNREACHABLE',
  });
});
