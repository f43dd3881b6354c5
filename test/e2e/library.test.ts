import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { packedPackage } from './packed.js';

let folder: string;
beforeAll(async () => {
  const packed = await packedPackage();
  folder = mkdtempSync(path.join(tmpdir(), 'hubferry-library-'));
  mkdirSync(path.join(folder, 'node_modules'));
  symlinkSync(packed.folder, path.join(folder, 'node_modules', 'hubferry'));
  expect(existsSync(path.join(packed.folder, 'dist', 'simulator', 'index.d.ts'))).toBe(true);
});
afterAll(() => rmSync(folder, { recursive: true }));

it('the simulator can be used by the tests of other projects', async () => {
  const program = `
    import { generateFleet, SimulatorAdmin, startSimulator } from 'hubferry/simulator';
    const simulator = await startSimulator({ hubs: [{ name: 'a' }], seed: 1, caDir: 'ca', adminPort: 0 });
    simulator.hub('a').load(generateFleet({ devices: 5, seed: 1, plain: true }));
    const admin = new SimulatorAdmin(simulator.adminPort).hub('a');
    await admin.set({ importTwinPart: 'merge' });
    let records = 0;
    for await (const _ of admin.dump()) records++;
    console.log(records, simulator.hub('a').settings.importTwinPart);
    await simulator.close();
  `;
  writeFileSync(path.join(folder, 'program.mjs'), program);
  const { stdout } = await promisify(execFile)(process.execPath, ['program.mjs'], { cwd: folder });
  expect(stdout).toBe('5 merge\n');
});
