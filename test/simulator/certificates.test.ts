import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadAuthority } from '../../simulator/certificates.js';
import { startSimulator } from '../../simulator/index.js';

const mode = (file: string) => statSync(file).mode & 0o777;

let caDir: string;
beforeEach(() => {
  caDir = path.join(mkdtempSync(path.join(tmpdir(), 'hubferry-ca-')), 'ca');
});
afterEach(() => rmSync(path.dirname(caDir), { recursive: true }));

describe('the certificate authority', () => {
  it('is made once, privately, and used again', async () => {
    const first = await loadAuthority(caDir);
    expect(mode(caDir)).toBe(0o700);
    expect(mode(path.join(caDir, 'ca-key.pem'))).toBe(0o600);
    expect(readFileSync(first.caFile, 'utf8')).not.toContain('PRIVATE');
    expect(new X509Certificate(first.cert).ca).toBe(true);
    const began = performance.now();
    const sim = await startSimulator({ hubs: [{ name: 'a' }], caDir });
    expect(performance.now() - began).toBeLessThan(1000);
    expect(readFileSync(sim.caFile, 'utf8')).toBe(first.cert);
    await sim.close();
  });

  it('is one, even when several make it at the same time', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => loadAuthority(caDir)));
    expect(new Set(all.map(({ cert }) => cert)).size).toBe(1);
    expect(readdirSync(caDir).toSorted()).toEqual(['ca-key.pem', 'ca.pem']);
    expect(readFileSync(path.join(caDir, 'ca.pem'), 'utf8')).toBe(all[0]?.cert);
  });

  it('signs one certificate for the same names, kept privately, and others for others', async () => {
    const certificates = () => readdirSync(caDir).filter((name) => name.startsWith('server-'));
    const serve = async (...names: string[]) => {
      const sim = await startSimulator({ hubs: names.map((name) => ({ name })), caDir });
      await sim.close();
    };
    await serve('a', 'b');
    const [file = ''] = certificates();
    expect(mode(path.join(caDir, file))).toBe(0o600);
    const made = readFileSync(path.join(caDir, file), 'utf8');
    await serve('a', 'b');
    expect(readFileSync(path.join(caDir, file), 'utf8')).toBe(made);
    await serve('a');
    expect(certificates()).toHaveLength(2);
    // One of another authority would not be trusted.
    writeFileSync(path.join(caDir, 'ca-key.pem'), 'rubbish');
    await serve('a');
    expect(certificates()).toHaveLength(3);
  });

  it('is made anew when it is damaged', async () => {
    const first = await loadAuthority(caDir);
    writeFileSync(path.join(caDir, 'ca-key.pem'), 'rubbish');
    const second = await loadAuthority(caDir);
    expect(second.cert).not.toBe(first.cert);
    expect((await loadAuthority(caDir)).cert).toBe(second.cert);
    expect(mode(path.join(caDir, 'ca-key.pem'))).toBe(0o600);
  });

  it('lets clients trust every name of a simulator', async () => {
    const sim = await startSimulator({ hubs: [{ name: 'one' }, { name: 'two', ownPort: 0 }], caDir });
    const ca = readFileSync(sim.caFile);
    const trusted = (servername: string, host: string, port: number) =>
      new Promise<boolean>((resolve, reject) => {
        const socket = connect(
          { host, port, ca, ...(/^[\d.:]+$/.test(servername) ? {} : { servername }) },
          () => {
            resolve(socket.authorized);
            socket.destroy();
          },
        );
        socket.on('error', reject);
      });
    for (const name of ['one.localhost', 'two.localhost', 'localhost', '127.0.0.1']) {
      expect(await trusted(name, '127.0.0.1', sim.port), name).toBe(true);
    }
    await expect(trusted('three.localhost', '127.0.0.1', sim.port)).rejects.toThrow(/altnames/);
    expect(await trusted('localhost', '127.0.0.1', Number(sim.hub('two').ownHostName?.split(':')[1]))).toBe(
      true,
    );
    await sim.close();
  });

  it('is trusted through NODE_EXTRA_CA_CERTS', async () => {
    const sim = await startSimulator({ hubs: [{ name: 'a', ownPort: 0 }], caDir });
    const script = `fetch('https://${sim.hub('a').ownHostName}/devices').then((r) => console.log(r.status))`;
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', script], {
      env: { ...process.env, NODE_EXTRA_CA_CERTS: sim.caFile },
    });
    expect(stdout.trim()).toBe('401');
    await sim.close();
  });
});

describe('starting', () => {
  it('names the port that is in use, and leaves nothing behind', async () => {
    const first = await startSimulator({ hubs: [{ name: 'a' }], caDir });
    const options = { hubs: [{ name: 'a' }], caDir };
    await expect(startSimulator({ ...options, port: first.port })).rejects.toThrow(
      `port ${first.port} is in use`,
    );
    await expect(startSimulator({ ...options, adminPort: first.port })).rejects.toThrow(/in use/);
    await first.close();
    const again = await startSimulator({ ...options, port: first.port });
    await again.close();
  });

  it('refuses names and settings that cannot be', async () => {
    await expect(startSimulator({ hubs: [], caDir })).rejects.toThrow(TypeError);
    await expect(startSimulator({ hubs: [{ name: 'a_b' }], caDir })).rejects.toThrow(/a_b/);
    await expect(startSimulator({ hubs: [{ name: 'a' }, { name: 'A' }], caDir })).rejects.toThrow(
      /same name/,
    );
    await expect(startSimulator({ hubs: [{ name: 'a', rate: -1 }], caDir })).rejects.toThrow(/rate/);
  });

  it('gives the same keys for the same seed, others for another', async () => {
    const keyOf = async (seed?: number) => {
      const sim = await startSimulator({
        hubs: [{ name: 'a' }],
        caDir,
        ...(seed === undefined ? {} : { seed }),
      });
      await sim.close();
      return sim.hub('a').keys.iothubowner;
    };
    expect(await keyOf(5)).toBe(await keyOf(5));
    expect(await keyOf(5)).not.toBe(await keyOf(6));
    expect(await keyOf()).not.toBe(await keyOf());
  });
});
