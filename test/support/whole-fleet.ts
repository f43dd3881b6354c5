import { type FleetRecord, generateFleet, type SimulatedHub } from '../../simulator/index.js';

type Configuration = Parameters<SimulatedHub['configurations']['put']>[1];

/** A module that no import carries. */
function system(deviceId: string, moduleId: string, more: Partial<FleetRecord> = {}): FleetRecord {
  return { deviceId, moduleId, authentication: { type: 'none' }, managedBy: 'iotEdge', ...more };
}

/** Edge devices five levels deep, with manifests, managed modules, leaves and modules of their own. */
function* towers(count: number): Generator<FleetRecord> {
  for (let tower = 0; tower < count; tower++) {
    for (let level = 0; level < 5; level++) {
      const deviceId = `tower-${tower}-${level}`;
      const parent = level === 0 ? {} : { parent: `tower-${tower}-${level - 1}` };
      const tags = { tower, ...(level === 0 ? { deployed: tower % 2 === 0 } : {}) };
      yield { deviceId, iotEdge: true, statusReason: `level ${level}`, tags, ...parent };
      if (level % 2 === 0 && !(level === 0 && tower % 2 === 0)) {
        const modules = { pump: { settings: { image: `pump:${tower}` } } };
        yield system(deviceId, '$edgeAgent', {
          desired: { schemaVersion: '1.1', text: 'Zürich \u2028', modules },
        });
        yield system(deviceId, '$edgeHub', {
          desired: { routes: { up: 'FROM /* INTO $upstream' }, n: 1e21 },
        });
        yield system(deviceId, 'pump', { desired: { rate: level + 0.5 }, tags: { where: 'Lüfter' } });
      }
      yield { deviceId, moduleId: 'own', desired: { level } };
      yield { deviceId: `${deviceId}-leaf`, parent: deviceId, tags: { meter: level === 4 } };
      yield { deviceId: `${deviceId}-leaf`, moduleId: 'm', tags: { kind: 'meter' }, desired: { tower } };
    }
  }
  // Switched to an edge device later: its scope ends in nothing.
  yield { deviceId: 'promoted', iotEdge: true, deviceScope: 'ms-azure-iot-edge://promoted-' };
  yield { deviceId: 'below-promoted', deviceScope: 'ms-azure-iot-edge://promoted-' };
  yield { deviceId: 'stale', deviceScope: 'ms-azure-iot-edge://gone-1234' };
}

/** Configurations and deployments of every kind, with a tie. */
const configurations: Readonly<Record<string, Configuration>> = {
  low: {
    content: { deviceContent: { 'properties.desired.limits': { max: 1, unit: 'bär' } } },
    targetCondition: 'tags.meter=true',
    priority: 1,
    labels: { team: 'ü' },
    metrics: { queries: { seen: 'SELECT deviceId FROM devices' } },
  },
  high: {
    content: { deviceContent: { 'properties.desired.limits.max': 9 } },
    targetCondition: 'tags.meter=true',
    priority: 10,
  },
  'tie-z': {
    content: { deviceContent: { 'properties.desired.mode': 'older' } },
    targetCondition: 'tags.meter=true',
    priority: 5,
  },
  'tie-a': {
    content: { deviceContent: { 'properties.desired.mode': 'newer' } },
    targetCondition: 'tags.meter=true',
    priority: 5,
  },
  meters: {
    content: { moduleContent: { 'properties.desired.rate': 2.5 } },
    targetCondition: "FROM devices.modules WHERE tags.kind='meter'",
    priority: 1,
  },
  base: {
    content: {
      modulesContent: {
        $edgeAgent: {
          'properties.desired': {
            schemaVersion: '1.1',
            modules: { sensor: { type: 'docker', settings: { image: 'sensor' } } },
          },
        },
        $edgeHub: { 'properties.desired': { routes: {} } },
      },
    },
    targetCondition: 'tags.deployed=true',
    priority: 3,
  },
  layer: {
    content: {
      modulesContent: {
        $edgeAgent: {
          'properties.desired.modules.filter': { type: 'docker', settings: { image: 'filter' } },
        },
        filter: { 'properties.desired': { level: 3 } },
      },
    },
    targetCondition: 'tags.deployed=true',
    priority: 7,
  },
};

/** Records of everything a registry may hold, about as many as asked for. */
export function* wholeFleet(records: number): Generator<FleetRecord> {
  yield* generateFleet({ devices: records, seed: 11 });
  yield* towers(Math.max(2, Math.floor(records / 400)));
}

/** Fills a hub with such a fleet and with configurations that have acted on it. */
export function loadWholeFleet(hub: SimulatedHub, records: number): void {
  hub.load(wholeFleet(records));
  for (const [id, body] of Object.entries(configurations)) hub.configurations.put(id, body);
}

/** What somebody may have found a while ago: every third record another way, every seventh not there yet. */
export function* olderState(records: Iterable<FleetRecord>): Generator<FleetRecord> {
  let n = 0;
  const gone = new Set<string>();
  for (const record of records) {
    n += 1;
    const { deviceId, moduleId, iotEdge } = record;
    if (gone.has(deviceId)) continue;
    if (n % 7 === 0 && moduleId === undefined && iotEdge !== true) {
      gone.add(deviceId);
      continue;
    }
    if (n % 3 !== 0 || moduleId?.startsWith('$') === true) yield record;
    else if (moduleId !== undefined) yield { ...record, tags: { old: n }, desired: { old: { n } } };
    else
      yield {
        ...record,
        status: 'enabled',
        statusReason: 'older',
        tags: { old: { n } },
        desired: { old: n },
      };
  }
}

/** Everything that must arrive of a hub: records by essence, manifests, and configurations in their order. */
export function contentOf(hub: SimulatedHub): Record<string, unknown> {
  const content: Record<string, unknown> = {};
  const dump = [...hub.dump()];
  const edges = new Map(dump.flatMap((one) => (one.iotEdge ? [[one.deviceScope, one.deviceId]] : [])));
  for (const record of dump) {
    const { deviceId, moduleId, status, statusReason, authentication, tags, desired, iotEdge } = record;
    const own = moduleId !== undefined && authentication.type === 'none';
    const scope = iotEdge ? record.parentScopes?.[0] : record.deviceScope;
    const place =
      moduleId === undefined ? { status, statusReason, iotEdge, parent: edges.get(scope) ?? null } : {};
    // Tags of `$` modules cannot be carried.
    const carried = own && moduleId.startsWith('$') ? { desired } : { tags, desired };
    content[`${deviceId}/${moduleId ?? ''}`] = { authentication, ...carried, ...place };
  }
  for (const one of hub.dumpConfigurations()) {
    const { content: body, targetCondition, priority, labels } = one;
    content[`configuration ${JSON.stringify(one.id)}`] = {
      body,
      targetCondition,
      priority,
      // None is written as null or as an empty object.
      labels: labels ?? {},
    };
  }
  return content;
}
