import { writeFileSync } from 'node:fs';
import { rulesJsonSchema } from './rules.js';
import { configJsonSchema } from './schema.js';

/** A step of the build: writes the JSON Schemas of hubferry.yaml and of rules files, for editors, into the package. */
for (const [name, schema] of [
  ['hubferry', configJsonSchema()],
  ['hubferry.rules', rulesJsonSchema()],
] as const) {
  writeFileSync(new URL(`../${name}.schema.json`, import.meta.url), `${JSON.stringify(schema, null, 2)}\n`);
}
