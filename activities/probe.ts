import type { Hub } from '../azure/hub.js';
import { parseErrorLine } from '../registry/error-log.js';
import { HubferryError } from '../registry/errors.js';
import {
  PROBE_DEVICES,
  PROBE_MODULE,
  PROBE_PREFIX,
  type ProbeDevice,
  type ProbeError,
  type ProbeExport,
  type ProbeLook,
  probeId,
  probeLines,
} from '../registry/probe.js';
import { isJsonObject } from '../registry/record.js';
import type { Deps } from './deps.js';
import { patiently } from './edge-scopes.js';
import type { Counted } from './hub-job.js';
import { lineBatches } from './lines.js';
import { DEVICES_BLOB, ERROR_LOG_BLOB } from './work.js';

/** Longer than any line of a registry. */
const LINE_LIMIT = 1024 * 1024;

export interface ProbeInput {
  readonly account: string;
  readonly host: string;
  readonly run: string;
}

export interface ProbeBlobInput extends ProbeInput {
  /** The private container of a job. */
  readonly container: string;
}

export function probeActivities({ connections }: Deps) {
  return {
    /**
     * Refuses a hub that is not declared for such things where this worker runs.
     *
     * @throws HubferryError HUB_NOT_SCRATCH, HUB_READ_ONLY, HUB_NOT_CONFIGURED_HERE
     */
    async mayProbe({ host }: { host: string }): Promise<void> {
      const { role, readOnly } = connections.hubConfig(host);
      if (role !== 'scratch')
        throw new HubferryError(
          'HUB_NOT_SCRATCH',
          `${host} is not declared a scratch hub: nothing was tried.`,
        );
      if (readOnly) throw new HubferryError('HUB_READ_ONLY', `${host} is marked readOnly.`);
    },

    /** Writes the lines of one import into the container of its job. @returns how many they are */
    async stageProbe(
      input: ProbeBlobInput & { step: 1 | 2; edgeScope: string | null },
    ): Promise<{ lines: number }> {
      const storage = connections.storage(input.account);
      await storage.createContainer(input.container);
      const lines = probeLines(input.run, input.step, input.edgeScope);
      await storage.writeText(input.container, DEVICES_BLOB, `${lines.join('\n')}\n`, { forHub: true });
      return { lines: lines.length };
    },

    /** What the error log of an import says of the probe's own records: keys and codes, none of its text. */
    async readProbeErrors({ account, container, run }: ProbeBlobInput): Promise<ProbeError[]> {
      const storage = connections.storage(account);
      if ((await storage.size(container, ERROR_LOG_BLOB)) === null) return [];
      const errors: ProbeError[] = [];
      const own = probeId(run, 'plain').slice(0, -'plain'.length);
      const stream = await storage.read(container, ERROR_LOG_BLOB);
      for await (const batch of lineBatches(stream, { maxLineBytes: LINE_LIMIT, lenient: true })) {
        for (const { text } of batch) {
          const error = text === null ? null : parseErrorLine(text);
          if (error?.key?.startsWith(own)) errors.push({ key: error.key, code: error.code });
        }
      }
      return errors;
    },

    /** What the hub shows of the probe's records. */
    async lookAtProbe({ host, run }: ProbeInput): Promise<Counted<ProbeLook>> {
      const hub = connections.hub(host);
      return { value: await look(hub, run), calls: hub.takeCalls() };
    },

    /** How an export without keys looks: its beginning, and the shapes of the probe's own lines. */
    async readProbeExport({ account, container, run }: ProbeBlobInput): Promise<ProbeExport> {
      const storage = connections.storage(account);
      let mark = false;
      let warning: boolean | null = null;
      const own = new Map<string, Record<string, unknown>>();
      const stream = await storage.read(container, DEVICES_BLOB);
      for await (const batch of lineBatches(stream, { maxLineBytes: LINE_LIMIT, lenient: true })) {
        for (const { text, offset } of batch) {
          if (text === null) continue;
          mark ||= offset === 0 && text.startsWith('\uFEFF');
          const record = recordIn(text.replace(/^\uFEFF/, ''));
          warning ??= record === null;
          const id = record?.['id'];
          if (record?.['moduleId'] === undefined && typeof id === 'string' && record) own.set(id, record);
        }
      }
      const of = (device: ProbeDevice): Record<string, unknown> | undefined => own.get(probeId(run, device));
      const cert = of('cert');
      const child = of('child');
      return {
        mark,
        warning: warning ?? false,
        authentication: cert === undefined ? null : shapeOf(cert),
        reported: reportedOf(of('plain') ?? {}),
        parentScopes: child === undefined ? null : hasScopes(child['parentScopes']),
      };
    },

    /** Deletes the probe's own devices, and with them their modules. Safe to repeat. */
    async removeProbe({ host, run }: ProbeInput): Promise<Counted<null>> {
      const hub = connections.hub(host);
      for (const device of PROBE_DEVICES) {
        const id = probeId(run, device);
        if (!id.startsWith(PROBE_PREFIX)) continue;
        await patiently(() => hub.deleteDevice(id));
      }
      return { value: null, calls: hub.takeCalls() };
    },
  };
}

async function look(hub: Hub, run: string): Promise<ProbeLook> {
  const device = (name: ProbeDevice) => patiently(() => hub.getDevice(probeId(run, name)));
  const module = async (name: ProbeDevice): Promise<boolean> => {
    // Under SAS a hub answers 401 for the modules of a device that is not there.
    if ((await device(name)) === null) return false;
    return (await patiently(() => hub.getModule(probeId(run, name), PROBE_MODULE))) !== null;
  };
  const twin = async (name: ProbeDevice, moduleId?: string): Promise<Readonly<Record<string, unknown>>> =>
    (await device(name)) === null
      ? {}
      : ((await patiently(() => hub.getTwin(probeId(run, name), moduleId))) ?? {});
  const [edge, stale, leaf, child] = [
    await device('edge'),
    await device('stale'),
    await device('leaf'),
    await device('child'),
  ];
  const plain = await twin('plain');
  const cert = await twin('cert');
  const agent = await twin('edge', '$edgeAgent');
  return {
    edgeScope: edge?.deviceScope ?? null,
    stale: stale && { scope: stale.deviceScope || null },
    leaf: leaf && { scope: leaf.deviceScope || null },
    child: child && { parents: child.parentScopes },
    plainModule: await module('plain'),
    earlyModule: await module('early'),
    tags: membersOf(plain['tags']),
    desired: membersOf(sectionOf(plain, 'desired')),
    certTags: membersOf(cert['tags']),
    reported: reportedOf(plain),
    agentProbe: membersOf(sectionOf(agent, 'desired')).includes('probe'),
  };
}

function recordIn(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) && typeof value['id'] === 'string' ? value : null;
  } catch {
    return null;
  }
}

function sectionOf({ properties }: Readonly<Record<string, unknown>>, name: string): unknown {
  return isJsonObject(properties) ? properties[name] : undefined;
}

const membersOf = (value: unknown): string[] =>
  isJsonObject(value) ? Object.keys(value).filter((name) => !name.startsWith('$')) : [];

const reportedOf = (twin: Readonly<Record<string, unknown>>): boolean =>
  membersOf(sectionOf(twin, 'reported')).length > 0;

const hasScopes = (scopes: unknown): boolean => Array.isArray(scopes) && scopes.length > 0;

function shapeOf(record: Readonly<Record<string, unknown>>): ProbeExport['authentication'] {
  if (!('authentication' in record)) return 'absent';
  return record['authentication'] === null ? 'null' : 'given';
}
