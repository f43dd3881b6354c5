import * as fc from 'fast-check';
import { expect } from 'vitest';
import { authenticationTexts } from './arbitraries.js';
import { HubModel } from './hub-model.js';
import { authentication, KEY_A, NO_AUTHENTICATION } from './records.js';

const DEVICES = ["d-0'%", 'd-1', 'd-2#', 'd-3', 'd-4', 'd-5'];
const MODULES = ['m-0', '$m'];

const twinTexts = fc.constantFrom(
  '{}',
  '{"a":1,"b":[1.5,{"c":"ü"}]}',
  '{"b":[1.50,{"c":"\\u00fc"}],"a":1.0}',
  '{"__proto__":{"x":1}}',
  '{"a":2}',
  '{"refused":null}',
);

const oneHalf = authentication({ type: 'sas', keys: [KEY_A, null] });

/** One device of a fleet: a leaf or edge device below one of the others, or below none, with modules. */
const device = fc.record({
  kind: fc.constantFrom('absent', 'leaf', 'leaf', 'edge', 'edge'),
  /** Index of a parent; below itself or a device that is no edge device it has none. */
  parent: fc.option(fc.nat({ max: DEVICES.length - 1 })),
  staleParent: fc.boolean(),
  status: fc.constantFrom('enabled', 'disabled'),
  statusReason: fc.constantFrom('', 'in repair'),
  authentication: fc.oneof(
    { weight: 9, arbitrary: authenticationTexts },
    { weight: 1, arbitrary: fc.constant(oneHalf) },
  ),
  tags: twinTexts,
  desired: twinTexts,
  modules: fc.uniqueArray(
    fc.record({
      name: fc.nat({ max: MODULES.length - 1 }),
      authentication: fc.oneof(authenticationTexts, fc.constant(NO_AUTHENTICATION)),
      tags: twinTexts,
    }),
    { maxLength: MODULES.length, selector: ({ name }) => name },
  ),
});
type Device = typeof device extends fc.Arbitrary<infer T> ? T : never;

/** Any fleet. */
export const fleet = fc.tuple(...DEVICES.map(() => device));

/** A hub with these devices: parents first in id order, so any nesting, refused records and stale scopes occur. */
export function hubOf(devices: readonly Device[], generation: number): HubModel {
  const hub = new HubModel(generation);
  for (const [at, { kind, parent, staleParent, ...of }] of devices.entries()) {
    if (kind === 'absent') continue;
    const scope = parent === null ? null : hub.scopeOf(DEVICES[parent] ?? '');
    const named = scope !== null && staleParent && at % 3 === 0 ? `${scope}0` : scope;
    const line = {
      id: DEVICES[at],
      status: of.status,
      statusReason: of.statusReason,
      authentication: JSON.parse(of.authentication),
      tags: JSON.parse(of.tags),
      properties: { desired: JSON.parse(of.desired) },
      capabilities: { iotEdge: kind === 'edge' },
      ...(named === null ? {} : kind === 'edge' ? { parentScopes: [named] } : { deviceScope: named }),
    };
    expect(hub.importLine(JSON.stringify({ ...line, importMode: 'create' }))).toBeNull();
    for (const { name, authentication: credentials, tags } of of.modules) {
      hub.importLine(
        JSON.stringify({
          id: DEVICES[at],
          moduleId: MODULES[name],
          status: 'enabled',
          authentication: JSON.parse(credentials),
          tags: JSON.parse(tags),
          importMode: 'create',
        }),
      );
    }
  }
  return hub;
}
