import type { PlanSample } from '../registry/plan-sample.js';
import type { RunReport } from '../workflows/messages.js';
import { type DifferenceLine, differencesPart } from './differences.js';
import { drillPart } from './drill.js';
import { callsPart, factsPart, rejectedPart, warningsPart } from './findings.js';
import { followPart } from './follow.js';
import { html } from './html.js';
import { ledgerPart } from './ledger.js';
import { besidePart, planPart } from './plan.js';
import { STYLE } from './style.js';
import { throughputPart, timelinePart } from './timing.js';
import { headline, verdictPart } from './verdict.js';

/** What a page shows beside the report itself. */
export interface PageExtras {
  /** Of hubferry, which makes the page. */
  readonly version: string;
  /** The head of the file of differences. */
  readonly differences?: readonly DifferenceLine[];
  /** Some changes of the plan, field by field: they hold contents of twins. */
  readonly samples?: readonly PlanSample[];
}

/** What a page of a run has in its head: only a page of the same run is written over. */
export const markOf = (run: string): string => html`<meta name="hubferry-run" content="${run}">`.html;

/**
 * The report of a run as one page that needs nothing else: no script, no network. Names of records, hubs and errors
 * stay text, whatever is in them.
 */
export function reportPage(
  report: RunReport,
  { version, differences = [], samples = [] }: PageExtras,
): string {
  const { title } = headline(report);
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
${{ html: markOf(report.run) }}
<title>${title}: ${report.workflow} ${report.run} · hubferry</title>
<style>${{ html: STYLE }}</style>
</head>
<body>
<main>
${verdictPart(report)}
${followPart(report)}
${drillPart(report)}
${ledgerPart(report)}
${planPart(report, samples)}
${timelinePart(report)}
${throughputPart(report)}
${differencesPart(report, differences)}
${rejectedPart(report)}
${warningsPart(report)}
${besidePart(report)}
${callsPart(report)}
${factsPart(report, { version })}
</main>
</body>
</html>
`.html;
}
