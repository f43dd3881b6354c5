import type { RejectedLine } from './error-log.js';

/** What every throw-away record of a probe begins with: nothing else is ever removed. */
export const PROBE_PREFIX = 'hubferry-probe-';

/** The devices of a probe, by what each is for. */
export const PROBE_DEVICES = ['plain', 'early', 'cert', 'edge', 'stale', 'leaf', 'child'] as const;
export type ProbeDevice = (typeof PROBE_DEVICES)[number];

/** The id of a device of a run's probe. */
export function probeId(run: string, device: ProbeDevice): string {
  return `${PROBE_PREFIX}${run.slice(-6)}-${device}`;
}

/** Module of the devices that have one. */
export const PROBE_MODULE = 'probe';

/** A scope that no edge device has. */
const STALE_SCOPE = 'ms-azure-iot-edge://hubferry-probe-none-1';

/** A thumbprint of the documented length; it is of no certificate. */
const THUMBPRINT = 'A'.repeat(40);

/**
 * The lines of a probe's two imports. The second refers to what the first made.
 *
 * @param edgeScope the scope that the hub gave to the edge device of the first; null: those lines are left out
 */
export function probeLines(run: string, step: 1 | 2, edgeScope: string | null): string[] {
  const id = (device: ProbeDevice): string => probeId(run, device);
  const create = { status: 'enabled', importMode: 'create' };
  const module = (device: ProbeDevice): object => ({ id: id(device), moduleId: PROBE_MODULE, ...create });
  const first = [
    // Before its device: does the order within a file matter?
    module('early'),
    { id: id('early'), ...create },
    {
      id: id('plain'),
      ...create,
      tags: { kept: 1, changed: 1 },
      properties: { desired: { kept: 1, changed: 1 }, reported: { said: 1 } },
    },
    module('plain'),
    {
      id: id('cert'),
      ...create,
      authentication: {
        type: 'selfSigned',
        x509Thumbprint: { primaryThumbprint: THUMBPRINT, secondaryThumbprint: THUMBPRINT },
      },
      tags: { kept: 1 },
    },
    { id: id('edge'), ...create, capabilities: { iotEdge: true } },
    { id: id('stale'), ...create, deviceScope: STALE_SCOPE },
  ];
  const twin = { status: 'enabled', importMode: 'updateTwin' };
  const second = [
    { id: id('plain'), ...twin, tags: { changed: 2 }, properties: { desired: { changed: 2 } } },
    { id: id('cert'), ...twin, tags: {} },
    // It is there: does the error name the module?
    module('plain'),
    { id: id('edge'), moduleId: '$edgeAgent', ...twin, properties: { desired: { probe: 1 } } },
    ...(edgeScope === null
      ? []
      : [
          { id: id('leaf'), ...create, deviceScope: edgeScope },
          { id: id('child'), ...create, capabilities: { iotEdge: true }, parentScopes: [edgeScope] },
        ]),
  ];
  return (step === 1 ? first : second).map((line) => JSON.stringify(line));
}

/** A record of an error log that is about a probe: `device`, or `device/module` where the log names the module. */
export type ProbeError = Pick<RejectedLine, 'key' | 'code'>;

/** What the hub shows of the records after an import. */
export interface ProbeLook {
  readonly edgeScope: string | null;
  /** Of the leaf with a stale scope; null: there is none. */
  readonly stale: { readonly scope: string | null } | null;
  readonly leaf: { readonly scope: string | null } | null;
  readonly child: { readonly parents: readonly string[] } | null;
  readonly plainModule: boolean;
  readonly earlyModule: boolean;
  readonly tags: readonly string[];
  readonly desired: readonly string[];
  readonly certTags: readonly string[];
  readonly reported: boolean;
  readonly agentProbe: boolean;
}

/** What an export without keys looks like. */
export interface ProbeExport {
  readonly mark: boolean;
  readonly warning: boolean;
  /** Of the device with certificates; null: it is not in the file. */
  readonly authentication: 'absent' | 'null' | 'given' | null;
  readonly reported: boolean;
  readonly parentScopes: boolean | null;
}

/** All that a probe has seen. */
export interface ProbeSeen {
  readonly errors: readonly [first: readonly ProbeError[], second: readonly ProbeError[]];
  readonly looks: readonly [first: ProbeLook, second: ProbeLook];
  readonly exported: ProbeExport;
  /** What became of an import without its blob. */
  readonly noBlob: string;
}

/** One question that a probe answers. */
export interface ProbeAnswer {
  readonly question: string;
  readonly answer: string;
  readonly assumed: string;
}

const UNTOLD = 'cannot be told';

/** The answers, in the order of the questions. */
export function probeAnswers(run: string, seen: ProbeSeen): ProbeAnswer[] {
  const [errors, more] = seen.errors;
  const [before, after] = seen.looks;
  const { exported } = seen;
  const id = (device: ProbeDevice): string => probeId(run, device);
  const refusedAs = (all: readonly ProbeError[], ...keys: string[]): string => {
    const error = all.find(({ key }) => key !== null && keys.includes(key));
    return error === undefined ? 'not taken, and no error says why' : `refused (${error.code})`;
  };
  const moduleOf = (device: ProbeDevice): string => `${id(device)}/${PROBE_MODULE}`;
  const twin = (members: readonly string[]): string => {
    if (!members.includes('changed')) return UNTOLD;
    return members.includes('kept') ? 'merged' : 'replaced';
  };
  const twice = more.find(({ key }) => key === moduleOf('plain') || key === id('plain'));
  const child = after.child?.parents.includes(before.edgeScope ?? '') ?? null;
  return [
    {
      question: 'a line of a module',
      answer: before.plainModule ? 'taken' : refusedAs(errors, moduleOf('plain'), id('plain')),
      assumed: 'either',
    },
    {
      question: 'a module’s line before that of its device',
      answer: before.plainModule
        ? before.earlyModule
          ? 'taken'
          : refusedAs(errors, moduleOf('early'), id('early'))
        : UNTOLD,
      assumed: 'refused: never sent',
    },
    {
      question: 'a line of $edgeAgent',
      answer: after.agentProbe ? 'taken' : refusedAs(more, `${id('edge')}/$edgeAgent`, id('edge')),
      assumed: 'refused: never sent',
    },
    {
      question: 'an error about a module',
      answer:
        twice === undefined ? UNTOLD : twice.key === id('plain') ? 'names its device' : 'names the module',
      assumed: 'either',
    },
    { question: 'tags of an update', answer: twin(after.tags), assumed: 'replaced; merged ones are mended' },
    { question: 'desired properties of an update', answer: twin(after.desired), assumed: 'as tags' },
    {
      question: 'empty tags in an update',
      answer: after.certTags.includes('kept') ? 'leave what is there' : 'clear them',
      assumed: 'clear them; left ones are mended',
    },
    {
      question: 'the scope of a leaf device',
      answer: leafAnswer(after, before.edgeScope),
      assumed: 'taken; others are mended',
    },
    {
      question: 'parentScopes of an edge device',
      answer: child === null ? UNTOLD : child ? 'taken' : 'ignored',
      assumed: 'either: read back',
    },
    {
      question: 'the scope of no edge device',
      answer:
        before.stale === null
          ? refusedAs(errors, id('stale'))
          : before.stale.scope === null
            ? 'ignored'
            : 'taken',
      assumed: 'either: never sent',
    },
    {
      question: 'reported properties in an import',
      answer: after.reported ? 'written' : 'ignored',
      assumed: 'either: never sent',
    },
    {
      question: 'reported properties in an export',
      answer: exported.reported ? 'written' : after.reported ? 'left out' : `${UNTOLD}: there are none`,
      assumed: 'either: not compared',
    },
    {
      question: 'parentScopes in an export',
      answer: exported.parentScopes === null ? UNTOLD : exported.parentScopes ? 'written' : 'left out',
      assumed: 'either: read back',
    },
    {
      question: 'an export without keys begins',
      answer: exported.warning ? 'with a line that is no record' : 'with a record',
      assumed: 'either',
    },
    {
      question: 'a byte order mark in an export',
      answer: exported.mark ? 'yes' : 'no',
      assumed: 'either',
    },
    {
      question: 'certificates in an export without keys',
      answer: exported.authentication === null ? UNTOLD : CERTIFICATES[exported.authentication],
      assumed: 'lost: asked of twins',
    },
    { question: 'an import without its blob', answer: seen.noBlob, assumed: 'either' },
  ];
}

function leafAnswer({ leaf }: ProbeLook, edgeScope: string | null): string {
  if (leaf === null) return UNTOLD;
  return leaf.scope === edgeScope ? 'taken' : 'ignored';
}

const CERTIFICATES = {
  absent: 'no authentication',
  null: 'authentication: null',
  given: 'are written',
} as const;
