import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { defaultSettings, type FleetRecord } from '../../simulator/index.js';
import { type Azurite, startAzurite } from './azurite.js';
import { errorLog, importLines, type Line, nextContainer, refusalsIn } from './importing.js';
import { type Stand, startStand } from './stand.js';

let azurite: Azurite;
let stand: Stand;
beforeAll(async () => {
  [azurite, stand] = await Promise.all([startAzurite(), startStand()]);
});
afterAll(async () => {
  await stand.close();
  await azurite.stop();
});
beforeEach(() => {
  stand.hub.clear();
  stand.hub.set(defaultSettings);
});

const logOf = async (...lines: Line[]) => (await importLines(stand, azurite, lines)).log;
const refusals = async (...lines: Line[]) => refusalsIn(await logOf(...lines));
const ids = () =>
  Array.from(stand.hub.dump(), ({ deviceId, moduleId }) => [deviceId, moduleId].join(' ').trim());
const edge = { capabilities: { iotEdge: true } };
const key = (fill: number) => Buffer.alloc(32, fill).toString('base64');
const sas = { type: 'sas', primaryKey: key(1), secondaryKey: key(2) } as const;

describe('importOrder', () => {
  const lines: Line[] = [
    { id: 'd1', moduleId: 'm' },
    { id: 'd1' },
    '{"moduleId":',
    { id: 'd2', moduleId: 'm' },
    { id: 'd2', moduleId: '' },
  ];

  it('asWritten: a module before its device is refused', async () => {
    expect(await refusals(...lines)).toEqual(
      [
        ['d1', 404001],
        [undefined, 400012],
        ['d2', 404001],
      ].map(([id, code]) => [id === undefined ? id : `${id}/m`, code]),
    );
  });

  it('devicesFirst: modules wait for the end of the file', async () => {
    stand.hub.set({ importOrder: 'devicesFirst' });
    expect(await refusals(...lines)).toEqual([[undefined, 400012]]);
    expect(ids()).toEqual(['d1', 'd1 m', 'd2', 'd2 m']);
  });

  it('shuffled: another order, the same at every run with the same seed', async () => {
    const many = Array.from({ length: 50 }, (_, n) => ({ id: `d${String(n).padStart(2, '0')}` }));
    const orders = [];
    for (let run = 0; run < 2; run++) {
      const other = await startStand({ importOrder: 'shuffled' });
      try {
        await importLines(other, azurite, many);
        orders.push(Array.from(other.hub.dump(), ({ deviceId }) => deviceId));
      } finally {
        await other.close();
      }
    }
    const written = many.map(({ id }) => id);
    expect(orders[0]).not.toEqual(written);
    expect(orders[0]?.toSorted()).toEqual(written);
    expect(orders[1]).toEqual(orders[0]);
  });
});

describe('importModules', () => {
  it('refuse: module lines are logged with 400012, device lines are not', async () => {
    stand.hub.set({ importModules: 'refuse' });
    expect(await refusals({ id: 'd' }, { id: 'd', moduleId: 'm' })).toEqual([['d/m', 400012]]);
    expect(ids()).toEqual(['d']);
  });
});

describe('importSystemModules', () => {
  const line = { id: 'e', moduleId: '$edgeAgent', tags: { t: 1 }, authentication: { type: 'sas' } };
  beforeEach(() => {
    stand.hub.load([{ deviceId: 'e', iotEdge: true }]);
  });

  it('refuse: logs 401100', async () => {
    expect(await refusals(line)).toEqual([['e/$edgeAgent', 401100]]);
    expect(stand.hub.record('e', '$edgeAgent')?.tags).toEqual({});
  });

  it('ignore: says nothing and does nothing', async () => {
    stand.hub.set({ importSystemModules: 'ignore' });
    expect(await refusals(line)).toEqual([]);
    expect(stand.hub.record('e', '$edgeAgent')?.tags).toEqual({});
  });

  it('apply: writes the twin, the identity stays the hub’s own', async () => {
    stand.hub.set({ importSystemModules: 'apply' });
    expect(await refusals(line)).toEqual([]);
    expect(stand.hub.record('e', '$edgeAgent')).toMatchObject({
      tags: { t: 1 },
      authentication: { type: 'none' },
      managedBy: 'iotEdge',
    });
  });
});

describe('importReported', () => {
  const line = (id: string) => ({ id, properties: { reported: { fw: '1.2', $version: 4 } } });

  it('ignore: reported properties of a line change nothing', async () => {
    stand.hub.load([{ deviceId: 'd', reported: { fw: '1.0' } }]);
    await logOf(line('d'), line('new'));
    expect(stand.hub.record('d')?.reported).toEqual({ fw: '1.0' });
    expect(stand.hub.record('new')?.reported).toEqual({});
  });

  it('write: they replace what was reported, within the limits', async () => {
    stand.hub.set({ importReported: 'write' });
    stand.hub.load([{ deviceId: 'd', reported: { fw: '1.0', old: 1 }, twinVersion: 7 }]);
    const tooMuch = { id: 'big', properties: { reported: { a: 'x'.repeat(4097) } } };
    expect(await refusals({ ...line('d'), importMode: 'updateTwin' }, line('new'), tooMuch)).toEqual([
      ['big', 400004],
    ]);
    expect(stand.hub.record('d')).toMatchObject({ reported: { fw: '1.2' }, twinVersion: 7 });
    expect(stand.hub.record('d')?.reported).not.toHaveProperty('old');
    expect(stand.hub.record('new')?.reported).toEqual({ fw: '1.2' });
  });
});

describe('importNoAuthentication', () => {
  const fleet: FleetRecord[] = [
    { deviceId: 'd', authentication: sas },
    { deviceId: 'd', moduleId: 'm', authentication: sas },
    { deviceId: 'n', authentication: sas },
  ];
  const lines = [
    { id: 'd', importMode: 'update' },
    { id: 'd', moduleId: 'm', authentication: null },
    { id: 'n', authentication: { type: 'sas' } },
  ];
  const kept = () =>
    [stand.hub.record('d'), stand.hub.record('d', 'm'), stand.hub.record('n')].map(
      (record) => JSON.stringify(record?.authentication) === JSON.stringify(sas),
    );

  it('mintKeys: an update by a line without authentication makes new keys', async () => {
    stand.hub.load(fleet);
    expect(await refusals(...lines)).toEqual([]);
    expect(kept()).toEqual([false, false, false]);
    expect(stand.hub.record('d')?.authentication.type).toBe('sas');
  });

  it('keep: the old keys stay, unless the line says something about authentication', async () => {
    stand.hub.set({ importNoAuthentication: 'keep' });
    stand.hub.load(fleet);
    expect(await refusals(...lines)).toEqual([]);
    expect(kept()).toEqual([true, true, false]);
  });
});

describe('scopes', () => {
  const scope = 'ms-azure-iot-edge://p-1';

  it('importLeafScope ignore: a leaf gets none, and keeps what it had', async () => {
    stand.hub.set({ importLeafScope: 'ignore', importStaleScope: 'refuse' });
    stand.hub.load([{ deviceId: 'old', deviceScope: 'ms-azure-iot-edge://q-1' }]);
    expect(await refusals({ id: 'new', deviceScope: scope }, { id: 'old', deviceScope: scope })).toEqual([]);
    expect(stand.hub.record('new')).not.toHaveProperty('deviceScope');
    expect(stand.hub.record('old')).toMatchObject({ deviceScope: 'ms-azure-iot-edge://q-1' });
  });

  it('importEdgeScope refuse: only the scope that the edge has already', async () => {
    stand.hub.set({ importEdgeScope: 'refuse' });
    stand.hub.load([
      { deviceId: 'own', iotEdge: true, generationId: '5' },
      { deviceId: 'other', iotEdge: true },
    ]);
    expect(
      await refusals(
        { id: 'new', ...edge, deviceScope: scope },
        { id: 'bare', ...edge, deviceScope: '' },
        { id: 'own', ...edge, deviceScope: 'ms-azure-iot-edge://own-5' },
        { id: 'other', ...edge, deviceScope: scope },
      ),
    ).toEqual([
      ['new', 400028],
      ['other', 400028],
    ]);
    expect(stand.hub.record('bare')?.deviceScope).toMatch(/^ms-azure-iot-edge:\/\/bare-\d+$/);
  });

  it('importStaleScope refuse: a scope must be that of an edge of this hub', async () => {
    stand.hub.set({ importStaleScope: 'refuse' });
    stand.hub.load([{ deviceId: 'p', iotEdge: true, generationId: '1' }]);
    expect(
      await refusals({ id: 'good', deviceScope: scope }, { id: 'bad', deviceScope: `${scope}2` }),
    ).toEqual([['bad', 400028]]);
  });

  it('importParentScopes ignore: an edge gets no parent', async () => {
    stand.hub.set({ importParentScopes: 'ignore' });
    await logOf({ id: 'e', ...edge, parentScopes: [scope] });
    expect(stand.hub.record('e')).not.toHaveProperty('parentScopes');
  });
});

describe('importModeNumbers', () => {
  const modes = [1, 0, 5, 2, 7, 8, 9, -1, 1.5];
  const lines = modes.map((importMode, n) => ({ id: `d${n}`, importMode, twinETag: '*' }));

  it('refuse: a number is no mode', async () => {
    expect(await refusals(...lines)).toEqual(modes.map(() => [undefined, 400012]));
  });

  it('accept: 0 to 8 in the order of the .NET client', async () => {
    stand.hub.set({ importModeNumbers: 'accept' });
    stand.hub.load(modes.slice(1).map((_, n) => ({ deviceId: `d${n + 1}`, tags: { a: 1 } })));
    expect(await refusals(...lines)).toEqual([6, 7, 8].map(() => [undefined, 400012]));
    expect(stand.hub.record('d0')).toBeDefined();
    expect(stand.hub.record('d2')).toBeUndefined();
  });

  it('accept: each number is its mode', async () => {
    stand.hub.set({ importModeNumbers: 'accept' });
    // On a device that is there with other etags, and on one that is not, every mode has a result of its own.
    const found = [];
    for (let importMode = 0; importMode < 9; importMode++) {
      stand.hub.clear();
      stand.hub.load([{ deviceId: 'there', etag: 'MTAx', authentication: sas }]);
      const codes = await refusals(
        { id: 'there', importMode, eTag: 'x', tags: {} },
        { id: 'gone', importMode, eTag: 'x' },
      );
      const there = stand.hub.record('there');
      const same = JSON.stringify(there?.authentication) === JSON.stringify(sas);
      found.push(
        [
          ...codes.map(([id, code]) => `${id} ${code}`),
          there === undefined ? 'deleted' : same ? (there.twinVersion > 1 ? 'twin' : 'same') : 'replaced',
        ].join(', '),
      );
    }
    expect(found).toEqual([
      'replaced',
      'there 409001, same',
      'gone 404001, replaced',
      'there 412001, gone 404001, same',
      'there 412001, same',
      'gone 404001, deleted',
      'there 412001, gone 404001, same',
      'gone 404001, twin',
      'there 412001, gone 404001, same',
    ]);
  });
});

describe('importUnknownFields', () => {
  const lines: Line[] = [
    { id: 'top', generationId: '1' },
    { id: 'inner', authentication: { type: 'sas', keys: '' } },
    { id: 'user', tags: { anything: { goes: 1 } }, properties: { desired: { x: 1 } }, etag: '*' },
  ];

  it('ignore: they do no harm', async () => {
    expect(await refusals(...lines)).toEqual([]);
  });

  it('refuse: logged with 400012 and the field; what users may name is not looked at', async () => {
    stand.hub.set({ importUnknownFields: 'refuse' });
    const log = (await logOf(...lines)) ?? '';
    expect(refusalsIn(log)).toEqual([
      [undefined, 400012],
      [undefined, 400012],
    ]);
    expect(log).toContain("Could not find member 'generationId'");
    expect(log).toContain("Could not find member 'authentication.keys'");
    expect(ids()).toEqual(['user']);
  });
});

describe('importClearsManagedBy', () => {
  it('decides whether a module loses managedBy by a line, which cannot set it', async () => {
    const fleet = [{ deviceId: 'd' }, { deviceId: 'd', moduleId: 'm', managedBy: 'me' }];
    const line = { id: 'd', moduleId: 'm', managedBy: 'you' };
    stand.hub.set({ importClearsManagedBy: false });
    stand.hub.load(fleet);
    await logOf(line);
    expect(stand.hub.record('d', 'm')?.managedBy).toBe('me');
    stand.hub.set({ importClearsManagedBy: true });
    await logOf(line);
    expect(stand.hub.record('d', 'm')).not.toHaveProperty('managedBy');
  });
});

describe('the error log', () => {
  it('errorLogModuleId off: entries about modules name the device only, whatever was wrong', async () => {
    stand.hub.set({ errorLogModuleId: false });
    expect(await refusals({ id: 'd', moduleId: 'm' }, { id: 'd', moduleId: 'm2', tags: 5 })).toEqual([
      ['d', 404001],
      ['d', 400004],
    ]);
  });

  it('errorLogBadLineId on: entries about unreadable lines name whom they can', async () => {
    stand.hub.set({ errorLogBadLineId: true });
    expect(
      await refusals(
        { id: 'd', status: 'asleep' },
        { id: 'd', moduleId: 'm', importMode: 'x' },
        '{"id":"cut',
      ),
    ).toEqual([
      ['d', 400012],
      ['d/m', 400012],
      [undefined, 400012],
    ]);
  });

  it('holds entries for lines that are nested deeper than anybody can write down', async () => {
    const deep = '['.repeat(20_000) + ']'.repeat(20_000);
    const lines = [
      `{"id":"mode","status":"enabled","importMode":${deep}}`,
      `{"id":"tags","status":"enabled","tags":{"a":${deep}}}`,
      `{"id":"more","status":"enabled","other":${deep}}`,
    ];
    expect(await refusals(...lines)).toEqual([
      [undefined, 400012],
      ['tags', 400004],
    ]);
    expect(ids()).toEqual(['more']);
  });

  it('errorLogRepeat: every entry so many times', async () => {
    stand.hub.set({ errorLogRepeat: 3 });
    expect(await refusals({ id: 'd', importMode: 'update' }, { id: 'e', importMode: 'delete' })).toEqual([
      ...Array.from({ length: 3 }, () => ['d', 404001]),
      ...Array.from({ length: 3 }, () => ['e', 404001]),
    ]);
  });

  it('errorLogClean: empty or not there when there is nothing to say', async () => {
    expect(await logOf({ id: 'd' })).toBe('');
    stand.hub.set({ errorLogClean: 'none' });
    expect(await logOf({ id: 'd' })).toBeUndefined();
    expect(await refusals({ id: 'e', importMode: 'update' })).toEqual([['e', 404001]]);
  });

  it('errorLogExisting: replaces the log of an earlier job, or goes on with it', async () => {
    const container = await nextContainer(azurite);
    const refusing = (id: string) => importLines(stand, azurite, [{ id, importMode: 'update' }], container);
    await refusing('a');
    await refusing('b');
    expect(refusalsIn(await errorLog(container))).toEqual([['b', 404001]]);
    stand.hub.set({ errorLogExisting: 'append' });
    await refusing('c');
    await importLines(stand, azurite, [{ id: 'fine' }], container);
    expect(refusalsIn(await errorLog(container))).toEqual([
      ['b', 404001],
      ['c', 404001],
    ]);
  });
});
