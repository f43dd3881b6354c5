import type { JsonObject } from './json.js';
import { Prng } from './prng.js';
import type { FleetRecord } from './records/full-record.js';
import type { Authentication } from './records/records.js';

export interface FleetOptions {
  /** Records in all: devices and modules, without the system modules that edge devices get from the hub. */
  devices: number;
  seed: number;
  /** Only enabled SAS devices with a tag each, ids `device-000001` and on. */
  plain?: boolean;
  /** Share of devices that are edges; default 0.03. Each has some leaf or edge children, one level deep. */
  edgeShare?: number;
  /** Share of devices that have modules; default 0.1. */
  moduleShare?: number;
  /** Share of devices with a self-signed certificate; default 0.1. */
  selfSignedShare?: number;
  /** Share of devices with a certificate of an authority; default 0.1. */
  certificateAuthorityShare?: number;
  /** Share of disabled devices; default 0.1. */
  disabledShare?: number;
  /** Share of devices with an odd id; default 0.1. */
  oddIdShare?: number;
  /** Put before every id, so that two fleets can share a hub. */
  prefix?: string;
}

/**
 * A fleet that is the same for the same options, valid under the service's limits, parents before children and
 * devices before their modules. Records are made one at a time, so a million of them need no memory.
 */
export function* generateFleet(options: FleetOptions): Iterable<FleetRecord> {
  const maker = new Maker(options);
  if (options.plain === true) {
    for (let n = 0; n < options.devices; n++) yield maker.plainDevice();
    return;
  }
  let left = options.devices;
  while (left > 0) {
    for (const record of maker.family(left)) {
      yield record;
      left--;
    }
  }
}

const reasons = [
  'retired 2024',
  'lost in transit',
  'Wartung: Lüfter defekt',
  '停用中',
  'awaiting "repair" \\ swap',
] as const;
const words = [
  'pump',
  'Zürich',
  'größe',
  'naïve',
  '東京',
  '한국',
  'привет',
  '🚀',
  '👩‍🔧',
  'quote " inside',
  'back\\slash',
  "it's",
  'tab\tand\nline',
  'line\u2028separator',
  'plain',
  '',
] as const; // prettier-ignore
const keys = [
  'site',
  'floor',
  'größe',
  '位置',
  'owner name'.replace(' ', '_'),
  'emoji😀',
  "it's",
  'a"b',
  'c\\d',
] as const;
const oddities = [
  '%',
  '#',
  '?',
  '*',
  '$',
  "'",
  '@',
  ';',
  ',',
  '=',
  '%25',
  '%2F',
  '(',
  ')',
  '!',
  '+',
  ':',
  '.',
] as const;

class Maker {
  readonly #random: Prng;
  #count = 0;

  constructor(readonly options: FleetOptions) {
    this.#random = new Prng(options.seed, 'fleet');
  }

  plainDevice(): FleetRecord {
    return { deviceId: this.#id(false), authentication: this.#sas(), tags: { batch: this.#count % 100 } };
  }

  /** A device with its modules, or an edge with children: `room` records at most, one at least. */
  *family(room: number): Iterable<FleetRecord> {
    let left = room;
    const { edgeShare = 0.03 } = this.options;
    const head = this.#device(this.#random.chance(edgeShare));
    yield head;
    left--;
    for (const module of this.#modules(head, left)) {
      yield module;
      left--;
    }
    if (head.iotEdge !== true) return;
    for (let children = this.#random.below(5); children > 0 && left > 0; children--) {
      yield { ...this.#device(this.#random.chance(0.25)), parent: head.deviceId };
      left--;
    }
  }

  #device(iotEdge: boolean): FleetRecord {
    const random = this.#random;
    const { disabledShare = 0.1, oddIdShare = 0.1 } = this.options;
    const disabled = random.chance(disabledShare);
    const record: FleetRecord = {
      deviceId: this.#id(random.chance(oddIdShare)),
      authentication: this.#authentication(),
    };
    if (iotEdge) record.iotEdge = true;
    if (disabled) record.status = 'disabled';
    if (disabled || random.chance(0.05)) record.statusReason = random.pick(reasons);
    this.#fillTwin(record);
    return record;
  }

  *#modules(device: FleetRecord, room: number): Iterable<FleetRecord> {
    const { moduleShare = 0.1 } = this.options;
    if (!this.#random.chance(moduleShare)) return;
    const count = Math.min(room, 1 + this.#random.below(3));
    for (let n = 0; n < count; n++) {
      const odd = this.#random.chance(0.2) ? this.#random.pick(oddities) : '';
      // A leading dollar sign is reserved for system modules.
      const record: FleetRecord = {
        deviceId: device.deviceId,
        moduleId: `module-${n}${odd}`,
        authentication: this.#authentication(),
      };
      this.#fillTwin(record);
      if (this.#random.chance(0.3)) record.managedBy = 'backend';
      yield record;
    }
  }

  #id(odd: boolean): string {
    const { prefix = '' } = this.options;
    const number = String(++this.#count).padStart(6, '0');
    if (!odd) return `${prefix}device-${number}`;
    const random = this.#random;
    return `${prefix}odd${random.pick(oddities)}${random.pick(oddities)}-${number}${random.pick(oddities)}`;
  }

  #authentication(): Authentication {
    const { selfSignedShare = 0.1, certificateAuthorityShare = 0.1 } = this.options;
    const draw = this.#random.next();
    if (draw < selfSignedShare) {
      return {
        type: 'selfSigned',
        primaryThumbprint: this.#random.bytes(20).toString('hex').toUpperCase(),
        secondaryThumbprint: this.#random.chance(0.5) ? this.#random.bytes(32).toString('hex') : null,
      };
    }
    if (draw < selfSignedShare + certificateAuthorityShare) return { type: 'certificateAuthority' };
    return this.#sas();
  }

  #sas(): Authentication {
    const bytes = this.#random.chance(0.9) ? 32 : this.#random.pick([16, 33, 64]);
    const key = (): string => this.#random.bytes(bytes).toString('base64');
    return { type: 'sas', primaryKey: key(), secondaryKey: key() };
  }

  #fillTwin(record: FleetRecord): void {
    const random = this.#random;
    if (random.chance(0.3)) return;
    record.tags = this.#section(2);
    if (random.chance(0.7)) {
      record.desired = { ...this.#section(3), interval: random.below(3600), limit: this.#number() };
    }
  }

  #section(depth: number): JsonObject {
    const random = this.#random;
    const section: JsonObject = {};
    for (let n = 1 + random.below(3); n > 0; n--) {
      section[random.pick(keys)] = depth > 1 && random.chance(0.3) ? this.#section(depth - 1) : this.#value();
    }
    return section;
  }

  #value(): JsonObject[string] {
    const random = this.#random;
    switch (random.below(5)) {
      case 0:
        return this.#number();
      case 1:
        return random.chance(0.5);
      case 2:
        return [random.below(100), random.pick(words), { nested: random.chance(0.5) }];
      default:
        return random.pick(words);
    }
  }

  #number(): number {
    return this.#random.pick([
      0, -1, 42, 3.25, -0.001, 1e21, 1.5e-7, 4503599627370495, -4503599627370496, 1e3,
    ]);
  }
}
