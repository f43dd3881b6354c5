import { writeFileSync } from 'node:fs';
import { configJsonSchema } from './schema.js';

/** A step of the build: writes the JSON Schema of hubferry.yaml, for editors, into the package. */
writeFileSync(
  new URL('../hubferry.schema.json', import.meta.url),
  `${JSON.stringify(configJsonSchema(), null, 2)}\n`,
);
