import { describe, expect, it } from 'vitest';
import { type Configuration, parseConfiguration } from '../../registry/configurations.js';
import { parseLine, printDesiredLine, printRefused } from '../../registry/line.js';
import { actingDeployments } from '../../registry/managed.js';
import {
  addManifestTotals,
  CHANGED,
  emptyManifestTotals,
  ManifestJudge,
  type ManifestOutcome,
  type OwnManifests,
} from '../../registry/manifest-totals.js';
import {
  compareManifests,
  type Manifest,
  type ManifestChange,
  type ManifestFound,
  manifestBody,
  manifestChange,
  manifestContent,
  manifestKey,
} from '../../registry/manifests.js';
import { type RecordKey, recordKey } from '../../registry/record.js';
import { refusal } from '../../registry/refusal.js';
import { exportLine, type LineParts, NO_AUTHENTICATION, SAS } from './records.js';

const module = (moduleId: string, more: Partial<LineParts> = {}): string =>
  exportLine({ id: 'gw', moduleId, authenticationText: NO_AUTHENTICATION, ...more });
const edge = exportLine({ id: 'gw', iotEdge: true, deviceScope: 'ms-azure-iot-edge://gw-1' });
const desired = (line: string): string => printDesiredLine(parseLine(line), null);

const AGENT = '{"text":"ü\\u2028","n":1E2,"big":4503599627370495}';
const source = [
  module('$edgeAgent', { desiredText: AGENT }),
  module('$edgeHub'),
  module('pump', { desiredText: '{"x":1.0}', tagsText: '{"t":1}' }),
];

function compared(theirs: readonly string[], ours = source, device = desired(edge)): ManifestFound {
  const lines = device === '' ? [] : [device];
  const [found, ...more] = [
    ...compareManifests({ desired: lines, source: ours.map(desired), actual: theirs }),
  ];
  if (found === undefined || more.length > 0) throw new Error('not one device');
  return found;
}

function manifest(theirs: readonly string[], ours = source): Manifest {
  const found = compared(theirs, ours);
  if (found.kind !== 'manifest') throw new Error(found.kind);
  return found;
}

const statesOf = (theirs: readonly string[]): string[] => manifest(theirs).modules.map(({ state }) => state);

describe('a manifest beside the target’s', () => {
  it.each<[string, readonly string[], string[]]>([
    ['nothing', [], ['missing', 'missing', 'missing']],
    [
      'what a new edge device just got',
      [edge, module('$edgeAgent'), module('$edgeHub')],
      ['fresh', 'equal', 'missing'],
    ],
    [
      'the same in other words',
      [
        edge,
        module('$edgeAgent', { desiredText: '{"big":4503599627370495,"n":100,"text":"\\u00fc\\u2028"}' }),
        module('$edgeHub', { tagsText: '{"of":"the hub"}' }),
        module('pump', { desiredText: '{"x":1}', tagsText: '{"t":1}' }),
      ],
      ['equal', 'equal', 'equal'],
    ],
    [
      'other content',
      [
        edge,
        module('$edgeAgent', { desiredText: '{"text":"v"}' }),
        module('$edgeHub', { desiredText: '{"a":1}' }),
        module('pump', { desiredText: '{"x":1}', tagsText: '{"t":2}' }),
      ],
      ['different', 'different', 'different'],
    ],
    [
      'a module without its tags, and one with keys of its own',
      [edge, module('$edgeHub', { authenticationText: SAS }), module('pump', { desiredText: '{"x":1}' })],
      ['missing', 'equal', 'fresh'],
    ],
  ])('of %s', (_what, theirs, states) => expect(statesOf(theirs)).toEqual(states));

  it('of a module with keys of its own is another one', () => {
    expect(statesOf([edge, module('pump', { authenticationText: SAS, tagsText: '{"t":1}' })])[2]).toBe(
      'different',
    );
  });

  it('is as it should be where a deployment of the target explains what is different', () => {
    const deployment = (content: object): Configuration =>
      parseConfiguration(
        JSON.stringify({ id: 'd', targetCondition: '*', priority: 1, content: { modulesContent: content } }),
      );
    const theirs = [
      edge,
      module('$edgeAgent', { desiredText: '{"whole":true}' }),
      module('$edgeHub', { desiredText: '{"routes":{"a":1}}' }),
      module('pump', { desiredText: '{"x":2}', tagsText: '{"t":2}' }),
    ];
    const whole = deployment({
      $edgeAgent: { 'properties.desired': { whole: true } },
      $edgeHub: { 'properties.desired.routes.a': 1 },
      pump: { 'properties.desired.x': 2 },
    });
    const found = [
      ...compareManifests({
        desired: [desired(edge)],
        source: source.map(desired),
        actual: theirs,
        deployments: [whole],
      }),
    ];
    expect(found).toMatchObject([
      {
        modules: [
          { state: 'equal', managedBy: ['d'] },
          { state: 'equal', managedBy: ['d'] },
          // Its tags are nobody's but the user's.
          { state: 'different', managedBy: [] },
        ],
      },
    ]);
    const idle = parseConfiguration(JSON.stringify({ ...JSON.parse(whole.text), targetCondition: '' }));
    expect(actingDeployments([whole, idle])).toEqual([whole]);
  });

  it('is not compared where the hub makes all of it', () => {
    const found = compared([], [module('$edgeAgent'), module('$edgeHub', { tagsText: '{"t":1}' })]);
    expect(found).toMatchObject({ kind: 'empty', lostTags: ['gw/$edgeHub'] });
  });

  it.each([
    ['DEVICE_MISSING', ''],
    ['DEVICE_REFUSED', printRefused({ deviceId: 'gw', moduleId: null }, refusal('KEYS_INVALID'))],
    ['DEVICE_NOT_EDGE', desired(exportLine({ id: 'gw' }))],
  ])('is refused: %s', (code, line) => {
    expect(compared([], source, line)).toMatchObject({ kind: 'refused', refusal: { code } });
  });

  it('is damaged where a module stands twice', () => {
    expect(() => compared([], [...source, module('pump')])).toThrow('stands twice');
  });
});

describe('what is sent', () => {
  const others = [
    edge,
    module('$edgeAgent', { desiredText: '{"a":1}' }),
    module('left', { desiredText: '{"b":1}' }),
  ];

  it('carries desired properties byte for byte, and names what only the target has', () => {
    expect(manifestBody(manifestChange(manifest(others)))).toBe(
      `{"modulesContent":{"$edgeAgent":{"properties.desired":${AGENT}},"$edgeHub":{"properties.desired":{}},` +
        '"pump":{"properties.desired":{"x":1.0}},"left":{"properties.desired":{"b":1}}}}',
    );
  });

  it('always names $edgeAgent', () => {
    const body = manifestBody(manifestChange(manifest([edge], source.slice(2))));
    expect(body).toContain('{"$edgeAgent":{"properties.desired":{}},"pump":');
  });

  it('is guarded by the ETags of what is there', () => {
    expect(manifestChange(manifest(others))).toMatchObject({
      kind: 'update',
      apply: true,
      modules: [
        { moduleId: '$edgeAgent', due: 'update', eTag: 'AAAAAAAAAAE=', tags: null, tagsDue: false },
        { moduleId: '$edgeHub', due: 'create', eTag: null },
        { moduleId: 'pump', due: 'create', eTag: null, tags: '{"t":1}', tagsDue: true },
      ],
    });
  });

  it('has the same content in whatever order, and whatever the target has', () => {
    const change = manifestChange(manifest(others));
    const again = manifestChange(manifest([], source.toReversed()));
    expect(manifestContent(again)).toBe(manifestContent(change));
    expect(manifestKey('gw')).toBe('gw/$manifest');
  });

  it('leaves the manifest alone where only tags are due', () => {
    const [agent, hub] = source;
    const theirs = [edge, agent ?? '', hub ?? '', module('pump', { desiredText: '{"x":1}' })];
    expect(manifestChange(manifest(theirs))).toMatchObject({ kind: 'create', apply: false });
  });
});

describe('the judge', () => {
  const different = [edge, module('$edgeAgent', { desiredText: '{"a":1}' })];

  function judged(
    theirs: readonly string[],
    existing: 'fail' | 'skip' | 'overwrite',
    own: OwnManifests | null = null,
  ) {
    const judge = new ManifestJudge(existing, own);
    const due = judge.count(compared(theirs));
    return { due, sum: judge.sum };
  }

  it.each([
    ['fail', { create: 2, update: 0, kept: 0, conflict: 1, missing: 2, different: 1 }, false],
    ['skip', { create: 0, update: 0, kept: 3, conflict: 0, missing: 0, different: 0 }, false],
    ['overwrite', { create: 2, update: 1, kept: 0, conflict: 0, missing: 2, different: 1 }, true],
  ] as const)('under --existing %s', (existing, counts, isDue) => {
    const { due, sum } = judged(different, existing);
    expect(sum).toMatchObject({ source: 3, desired: 3, ...counts });
    expect(due !== null).toBe(isDue);
  });

  it.each(['fail', 'skip', 'overwrite'] as const)('fills what is empty under --existing %s', (existing) => {
    const { due, sum } = judged([edge, module('$edgeAgent'), module('$edgeHub')], existing);
    expect(sum).toMatchObject({ equal: 1, create: 2, update: 0, added: 1 });
    expect(due).toMatchObject({ kind: 'create' });
  });

  it('leaves a device alone that is to stay what it is', () => {
    expect(judged([exportLine({ id: 'gw' })], 'skip').sum).toMatchObject({ kept: 3, create: 0 });
  });

  const key = (moduleId: string): RecordKey => recordKey('gw', moduleId);
  function after(outcome: Partial<ManifestOutcome> | null, before: readonly string[] = []): OwnManifests {
    const lines = new Map(
      before.map(parseLine).map((record) => [recordKey(record.deviceId, record.moduleId), record]),
    );
    const outcomes: [string, ManifestOutcome][] =
      outcome === null ? [] : [['gw', { id: 'gw', code: null, reason: '', excused: false, ...outcome }]];
    return {
      planned: new Map([
        [key('$edgeAgent'), 'update'],
        [key('pump'), 'create'],
      ]),
      outcomes: new Map(outcomes),
      before: (of) => lines.get(of),
    };
  }
  const now = [edge, module('$edgeAgent', { desiredText: '{"a":1}' }), module('$edgeHub')];

  it.each<[string, OwnManifests, object, boolean]>([
    ['sends again what was not sent', after(null, now), { unsent: 2, rejected: 0 }, true],
    ['sends again what did not arrive', after({}, now), { plannedOpen: 2, unsent: 0, rejected: 0 }, true],
    ['sends again what may pass', after({ code: '404001' }, now), { rejected: 2, explained: 0 }, true],
    ['sends again where only an ETag moved', after({ code: CHANGED }, now), { foreign: 0 }, true],
    [
      'leaves alone what is rejected for good',
      after({ code: '400004' }, now),
      { rejected: 2, explained: 2 },
      false,
    ],
    [
      'excuses what nobody may touch',
      after({ code: '401002', excused: true }, now),
      { unsent: 2, rejected: 0, excused: 2, excusedEdges: 1, explained: 2 },
      false,
    ],
    [
      'leaves alone what somebody else wrote',
      after({}, different.slice(0, 1)),
      { foreign: 1, explained: 2 },
      false,
    ],
    [
      'leaves alone what is not of the plan',
      { ...after(null), planned: new Map() },
      { plannedOpen: 0, missing: 1, different: 1, explained: 0 },
      false,
    ],
  ])('%s', (_what, sent, counts, isDue) => {
    const { due, sum } = judged(now, 'overwrite', sent);
    expect(sum).toMatchObject(counts);
    expect(due !== null).toBe(isDue);
  });

  it('sums two partitions', () => {
    const one = judged(different, 'overwrite').sum;
    const sum = addManifestTotals(addManifestTotals(emptyManifestTotals(), one), one);
    expect(sum).toMatchObject({ source: 6, create: 4, update: 2 });
    expect(sum.samples.open).toHaveLength(5);
  });

  it('a change goes through JSON', () => {
    const { due } = judged(different, 'overwrite');
    const read = JSON.parse(JSON.stringify(due)) as ManifestChange;
    expect(manifestBody(read)).toBe(due && manifestBody(due));
  });
});
