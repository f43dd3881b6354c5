import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TokenCredential } from '@azure/identity';
import { ACCOUNT, type Azurite, startAzurite } from '../../demo/azurite.js';
import { issueServerCertificate, loadAuthority } from '../../simulator/certificates.js';
import { SimulatorAdmin } from '../../simulator/index.js';
import { compiledCommand } from './compiled.js';

/** Azurite over HTTPS, where it takes tokens, with a certificate of the authority that simulators in `folder/ca` use. */
export interface SecureAzurite extends Azurite {
  readonly account: string;
  readonly caFile: string;
  readonly ca: Buffer;
}

export async function startSecureAzurite(folder: string): Promise<SecureAzurite> {
  const authority = await loadAuthority(join(folder, 'ca'));
  const { cert, key } = await issueServerCertificate(authority, []);
  const tls = { cert: join(folder, 'azurite.pem'), key: join(folder, 'azurite-key.pem') };
  writeFileSync(tls.cert, cert);
  writeFileSync(tls.key, key, { mode: 0o600 });
  const azurite = await startAzurite({ tls });
  return {
    ...azurite,
    account: `https://127.0.0.1:${azurite.port}/${ACCOUNT}`,
    caFile: authority.caFile,
    ca: readFileSync(authority.caFile),
  };
}

/** A token for Azurite, which looks at everything in it but its signature. */
export function storageToken(seconds = 3_600): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1_000);
  const claims = {
    aud: 'https://storage.azure.com',
    iss: 'https://sts.windows.net/00000000-0000-0000-0000-000000000001/',
    oid: '00000000-0000-0000-0000-000000000002',
    tid: '00000000-0000-0000-0000-000000000001',
    iat: now - 60,
    nbf: now - 60,
    exp: now + seconds,
  };
  return [part({ alg: 'RS256', typ: 'JWT' }), part(claims), part('signature')].join('.');
}

/** A credential that says what it was asked for. */
export interface TestCredential extends TokenCredential {
  readonly asked: string[];
}

/** @param issue makes a token for a scope, or throws what the sign-in says */
export function testCredential(
  issue: (scope: string) => Promise<string> | string,
  seconds: () => number = () => 3_600,
): TestCredential {
  const asked: string[] = [];
  return {
    asked,
    getToken: async (scopes) => {
      const scope = [scopes].flat().join(' ');
      asked.push(scope);
      return { token: await issue(scope), expiresOnTimestamp: Date.now() + seconds() * 1_000 };
    },
  };
}

/** A simulator in a process of its own, so that it trusts the authority in `folder/ca`. */
export interface SimulatorProcess {
  readonly admin: SimulatorAdmin;
  /** `old.localhost:PORT` by name. */
  readonly hosts: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

export async function startSimulatorProcess(
  folder: string,
  hubs: readonly string[],
  more: readonly string[] = [],
): Promise<SimulatorProcess> {
  const [command, ...before] = compiledCommand('client/main');
  const names = hubs.flatMap((name) => ['--hub', name]);
  const args = ['simulator', ...names, '--port', '0', '--admin-port', '0', '--ca-dir', join(folder, 'ca')];
  const child = spawn(command, [...before, ...args, ...more], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: join(folder, 'ca', 'ca.pem') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const hosts: Record<string, string> = {};
  let admin = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    const [, name = '', host = ''] = /^hub (\S+): HostName=([^;]+)/.exec(line) ?? [];
    if (name !== '') hosts[name] = host;
    admin = Number(/^admin: http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1] ?? admin);
    if (line === 'ready') {
      return { admin: new SimulatorAdmin(admin), hosts, stop: () => stopped(child) };
    }
  }
  throw new Error('The simulator did not start.');
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/**
 * What a managed identity of Azure's App Service signs in at: a process with {@link env} in its environment gets its
 * tokens here, through Microsoft's own library.
 */
export interface SignIn {
  readonly env: Readonly<Record<string, string>>;
  /** Resources that tokens were asked for. */
  readonly asked: string[];
  close(): Promise<void>;
}

export async function startSignIn(issue: (resource: string) => Promise<string> | string): Promise<SignIn> {
  const asked: string[] = [];
  const secret = 'sign-in-header';
  const server = createServer((request, response) => {
    const resource = new URL(request.url ?? '', 'http://localhost').searchParams.get('resource') ?? '';
    if (request.headers['x-identity-header'] !== secret) {
      response.writeHead(401).end();
      return;
    }
    asked.push(resource);
    void (async () => {
      const answer = {
        access_token: await issue(resource),
        expires_on: String(Math.floor(Date.now() / 1_000) + 3_600),
        resource,
        token_type: 'Bearer',
      };
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer));
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    env: { IDENTITY_ENDPOINT: `http://127.0.0.1:${port}/token`, IDENTITY_HEADER: secret },
    asked,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
