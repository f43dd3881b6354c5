// Build step: `node dist/worker/bundle.js` makes the workflows' bundles ahead of time, so that workers start sooner.
import { writeFileSync } from 'node:fs';
import { BUNDLE_FILE, bundleWorkflows, sealedBundleOf } from './bundling.js';

writeFileSync(sealedBundleOf(BUNDLE_FILE), await bundleWorkflows(true));
writeFileSync(BUNDLE_FILE, await bundleWorkflows(false));
