import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { ROOT } from './pages.js';
import { referencePages } from './reference.js';

const FOLDER = `${ROOT}docs/reference`;

mkdirSync(FOLDER, { recursive: true });
const pages = referencePages();
for (const name of readdirSync(FOLDER)) if (!pages.has(name)) rmSync(`${FOLDER}/${name}`);
for (const [name, text] of pages) writeFileSync(`${FOLDER}/${name}`, text);
