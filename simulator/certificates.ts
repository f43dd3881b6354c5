import { createHash, X509Certificate } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

const dayMs = 86_400_000;

export interface Authority {
  readonly key: string;
  readonly cert: string;
  /** The certificate alone, for NODE_EXTRA_CA_CERTS. */
  readonly caFile: string;
}

/** `hubferry/simulator` in the folder where this system keeps a user's application data. */
export function defaultCaDir(): string {
  const { env, platform } = process;
  const home = homedir();
  const base =
    platform === 'win32'
      ? (env.LOCALAPPDATA ?? path.join(home, 'AppData', 'Local'))
      : platform === 'darwin'
        ? path.join(home, 'Library', 'Application Support')
        : env.XDG_DATA_HOME || path.join(home, '.local', 'share');
  return path.join(base, 'hubferry', 'simulator');
}

/**
 * Reads the certificate authority kept in `dir`, or makes it. Two processes may do so at once: both end up with the
 * one that was first.
 * @throws the file system's error when the folder cannot be used.
 */
export async function loadAuthority(dir: string): Promise<Authority> {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  chmodSync(dir, 0o700);
  // Key and certificate in one file, so that no reader can ever meet a pair that does not fit.
  const bundleFile = path.join(dir, 'ca-key.pem');
  let bundle = readBundle(bundleFile);
  if (bundle === undefined) {
    bundle = await makeAuthority();
    bundle = publish(bundleFile, bundle);
  }
  const caFile = path.join(dir, 'ca.pem');
  if (readText(caFile) !== bundle.cert) {
    const temporary = `${caFile}.${process.pid}.${Date.now()}`;
    writeFileSync(temporary, bundle.cert, { mode: 0o644 });
    renameSync(temporary, caFile);
  }
  return { ...bundle, caFile };
}

interface Bundle {
  readonly key: string;
  readonly cert: string;
}

async function makeAuthority(): Promise<Bundle> {
  const { generate } = await import('selfsigned');
  const made = await generate(
    [{ name: 'commonName', value: `hubferry simulator CA ${Date.now().toString(36)}` }],
    {
      keyType: 'ec',
      algorithm: 'sha256',
      notBeforeDate: new Date(Date.now() - dayMs),
      notAfterDate: new Date(Date.now() + 3650 * dayMs),
      extensions: [
        { name: 'basicConstraints', cA: true, critical: true },
        { name: 'keyUsage', keyCertSign: true, cRLSign: true, digitalSignature: true, critical: true },
      ],
    },
  );
  return { key: made.private, cert: made.cert };
}

/** Writes the bundle unless another process was first; returns the one that is there. */
function publish(file: string, bundle: Bundle): Bundle {
  const temporary = `${file}.${process.pid}.${Date.now()}`;
  writeFileSync(temporary, `${bundle.key.trim()}\n${bundle.cert.trim()}\n`, { mode: 0o600 });
  try {
    linkSync(temporary, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const theirs = readBundle(file);
    if (theirs !== undefined) return theirs;
    // What is there is damaged or expired.
    renameSync(temporary, file);
  } finally {
    rmSync(temporary, { force: true });
  }
  return readBundle(file) ?? bundle;
}

function readBundle(file: string): Bundle | undefined {
  const text = readText(file);
  const key = /-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]+-----END [A-Z ]*PRIVATE KEY-----\n?/.exec(
    text ?? '',
  )?.[0];
  const cert = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/.exec(text ?? '')?.[0];
  if (key === undefined || cert === undefined) return undefined;
  try {
    const soon = Date.now() + 30 * dayMs;
    return Date.parse(new X509Certificate(cert).validTo) > soon ? { key, cert } : undefined;
  } catch {
    return undefined;
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * A server certificate for localhost, loopback addresses and the given names. Names are listed one by one because
 * Node refuses the wildcard `*.localhost`. It is kept beside the authority: to load what makes one takes longer than
 * all the rest of a start.
 * @throws the file system's error when the folder cannot be used.
 */
export async function issueServerCertificate(
  authority: Authority,
  names: readonly string[],
): Promise<Bundle> {
  const hash = createHash('sha256')
    .update([authority.cert, ...names].join('\n'))
    .digest('hex');
  const file = path.join(path.dirname(authority.caFile), `server-${hash.slice(0, 16)}.pem`);
  return readBundle(file) ?? publish(file, await makeServerCertificate(authority, names));
}

async function makeServerCertificate(authority: Authority, names: readonly string[]): Promise<Bundle> {
  const { generate } = await import('selfsigned');
  const made = await generate([{ name: 'commonName', value: 'hubferry simulator' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(Date.now() - dayMs),
    notAfterDate: new Date(Date.now() + 300 * dayMs),
    ca: { key: authority.key, cert: authority.cert },
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          ...['localhost', ...names].map((value) => ({ type: 2 as const, value })),
          { type: 7, ip: '127.0.0.1' },
          { type: 7, ip: '::1' },
        ],
      },
    ],
  });
  return { key: made.private, cert: made.cert };
}
