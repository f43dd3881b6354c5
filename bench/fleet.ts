import { createHash } from 'node:crypto';
import type { FleetRecord } from '../simulator/index.js';

/** Plain devices of about 730 bytes each as a hub exports them: the same for the same numbers. */
export function* benchFleet(
  devices: number,
  changed: (n: number) => boolean = () => false,
): Generator<FleetRecord> {
  for (let n = 0; n < devices; n++) yield deviceOf(n, changed(n));
}

/** The same device as a line of an export. */
export function exportedLine(n: number, changed = false): string {
  const { deviceId, authentication, tags, desired } = deviceOf(n, changed);
  const keys = authentication?.type === 'sas' ? authentication : { primaryKey: '', secondaryKey: '' };
  return JSON.stringify({
    id: deviceId,
    eTag: Buffer.from(String(100_000 + n)).toString('base64'),
    status: 'enabled',
    authentication: {
      symmetricKey: { primaryKey: keys.primaryKey, secondaryKey: keys.secondaryKey },
      x509Thumbprint: { primaryThumbprint: null, secondaryThumbprint: null },
      type: 'sas',
    },
    twinETag: 'AAAAAAAAAAE=',
    tags,
    properties: { desired, reported: {} },
    capabilities: { iotEdge: false },
  });
}

function deviceOf(n: number, changed: boolean): FleetRecord {
  const key = (which: string): string => createHash('sha256').update(`${which} ${n}`).digest('base64');
  return {
    deviceId: `press-${String(n).padStart(7, '0')}`,
    authentication: { type: 'sas', primaryKey: key('first'), secondaryKey: key('second') },
    tags: {
      site: `plant-${n % 40}`,
      floor: n % 7,
      line: { name: `press ${n % 13}`, shift: changed ? 'early' : 'late' },
      owner: `maintenance-team-${n % 9}`,
      contract: `2026-${n % 12}`,
      region: 'north-west',
    },
    desired: {
      telemetry: { interval: n % 60, enabled: true, topics: ['temperature', 'pressure', 'humidity'] },
      firmware: { version: `3.1.${n % 20}`, url: `fw/3.1.${n % 20}.bin` },
    },
  };
}
