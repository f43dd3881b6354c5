// Build step: `node dist/worker/bundle.js` makes the workflows' bundle ahead of time, so that workers start sooner.
import { writeFileSync } from 'node:fs';
import { BUNDLE_FILE, bundleWorkflows } from './bundling.js';

writeFileSync(BUNDLE_FILE, await bundleWorkflows());
