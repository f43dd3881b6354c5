import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reportPage } from '../../report/page.js';
import { HOSTILE, REPORTS } from '../support/reports.js';
import { findChromium } from './chromium.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** As much of what axe says as a person needs to find the place. */
interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly target: readonly string[]; readonly failureSummary: string }[];
}

/** What a reader may have: a scheme of colours, and a width in px. */
const VIEWS = (['light', 'dark'] as const).flatMap((colorScheme) =>
  [1280, 400].map((width) => ({ colorScheme, width })),
);

const folder = mkdtempSync(join(tmpdir(), 'hubferry-pages-'));
let browser: Browser;

beforeAll(async () => {
  const executablePath = findChromium();
  if (executablePath === null) throw new Error('There is no Chromium; `npm run test:browser` installs it.');
  // Its sandbox needs rights that containers and the superuser do not have; the pages are our own.
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
});

afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true });
});

/** Opens a page from a file, and notes whatever it does that a page should not do. */
async function opened(
  html: string,
  view: { readonly colorScheme: 'light' | 'dark'; readonly width: number },
): Promise<{ page: Page; faults: string[]; close: () => Promise<void> }> {
  const file = join(folder, 'page.html');
  writeFileSync(file, html);
  const url = pathToFileURL(file).href;
  const context = await browser.newContext({
    colorScheme: view.colorScheme,
    viewport: { width: view.width, height: 900 },
  });
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('console', (message) => faults.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => {
    if (request.url() !== url) faults.push(`request: ${request.url()}`);
  });
  await page.goto(url);
  return { page, faults, close: () => context.close() };
}

/** Whom the page shuts out, by the rules of axe. */
async function violations(page: Page): Promise<string[]> {
  // By the protocol, so that the page's own policy does not matter, and stays as it is.
  await page.evaluate(AXE);
  const found = await page.evaluate<{ readonly violations: readonly Violation[] }>(
    'axe.run(document, { resultTypes: ["violations"] })',
  );
  return found.violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} ${target.join(' ')}: ${failureSummary}`),
  );
}

const PAGES = Object.entries(REPORTS).map(([kind, { report, extras }]) => ({
  kind,
  html: reportPage(report, extras),
}));

describe.each(PAGES)('the page of a $kind run', ({ html }) => {
  it.each(VIEWS)('$colorScheme, $width px wide: is quiet, fits, and shuts nobody out', async (view) => {
    const { page, faults, close } = await opened(html, view);
    const scroll = await page.evaluate<number>('document.documentElement.scrollWidth');
    expect(scroll).toBeLessThanOrEqual(view.width);
    expect(await page.locator('h1').count()).toBe(1);
    expect(await violations(page)).toEqual([]);
    expect(faults).toEqual([]);
    await close();
  });

  it('prints', async () => {
    const { page, faults, close } = await opened(html, { colorScheme: 'dark', width: 1280 });
    const path = join(folder, 'page.pdf');
    await page.pdf({ path, format: 'A4' });
    expect(statSync(path).size).toBeGreaterThan(5_000);
    await page.emulateMedia({ media: 'print' });
    const paper = await page.evaluate('getComputedStyle(document.body).backgroundColor');
    expect(paper).toBe('rgb(255, 255, 255)');
    expect(faults).toEqual([]);
    await close();
  });
});

it('sees what a page should not do', async () => {
  const bad = `<p style="color:#bbb;width:2000px">pale</p><img src="https://example.invalid/x.png">
    <script>console.log('ran'); alert(1); undefined.x</script>`;
  const { page, faults, close } = await opened(`<!doctype html><html><body>${bad}</body></html>`, {
    colorScheme: 'light',
    width: 400,
  });
  const kinds = new Set(faults.map((fault) => fault.split(':')[0]));
  expect(kinds).toEqual(new Set(['console', 'dialog', 'error', 'request']));
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBeGreaterThan(400);
  const found = (await violations(page)).map((violation) => violation.split(' ')[0]);
  expect(found).toEqual(expect.arrayContaining(['color-contrast', 'html-has-lang', 'image-alt']));
  await close();
});

describe('names that somebody chose to hurt', () => {
  const html = PAGES.find(({ kind }) => kind === 'differences')?.html ?? '';

  it('are text, and make no elements', async () => {
    const { page, faults, close } = await opened(html, { colorScheme: 'light', width: 1280 });
    const text = await page.locator('main').innerText();
    for (const name of HOSTILE.filter((one) => /[<>&]/.test(one))) expect(text).toContain(name);
    expect(await page.locator('script, img, iframe, a, svg svg').count()).toBe(0);
    expect(await page.locator('[onerror], [onload], [onmouseover]').count()).toBe(0);
    expect(faults).toEqual([]);
    await close();
  });
});

it('charts are drawn in colours of the scheme, large or small as the width is', async () => {
  const html = PAGES.find(({ kind }) => kind === 'verified')?.html ?? '';
  const seen = [];
  for (const view of VIEWS) {
    const { page, close } = await opened(html, view);
    const shown = await page.locator('.chart svg:visible').count();
    const fill = await page.evaluate(
      `getComputedStyle(document.querySelector('.chart svg [fill="var(--accent)"]')).fill`,
    );
    seen.push({ shown, fill });
    await close();
  }
  expect(seen.map(({ shown }) => shown)).toEqual([3, 3, 3, 3]);
  expect(new Set(seen.map(({ fill }) => fill)).size).toBe(2);
});
