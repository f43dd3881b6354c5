import { log } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import {
  differencesBlob,
  differencesHead,
  pageBlob,
  runBlob,
  SHARED_CONTAINER,
} from '../azure/shared-container.js';
import type { Storage } from '../azure/storage.js';
import { readDifferences } from '../report/differences.js';
import type { RunReport } from '../workflows/messages.js';
import type { Deps } from './deps.js';
import { namespaceIdOf } from './server.js';
import { ownLines, workBlob } from './work.js';

export interface DifferencesInput {
  readonly account: string;
  readonly run: string;
  readonly work: string;
  /** The look whose differences are kept. */
  readonly pass: number;
  readonly partitions: number;
}

/** How long the Temporal server is asked for its version, ms: no report waits for that. */
const PATIENCE = 2_000;

export function reportActivities({ connections, client, version }: Deps) {
  return {
    /**
     * Writes `runs/<RUN>.json`, which outlives what the Temporal server remembers. It holds no secret. The last word of a
     * run comes with a page for people, `reports/<RUN>.html`; where none can be made, the run goes on without.
     */
    async writeReport(input: { account: string; report: RunReport }): Promise<void> {
      const storage = connections.storage(input.account);
      await storage.createContainer(SHARED_CONTAINER);
      const over = input.report.ended !== null;
      const namespaceId = await namespaceIdOf(client);
      const told = namespaceId === null ? input.report : { ...input.report, namespaceId };
      const report = over
        ? { ...told, versions: { hubferry: version, server: await serverVersion(client) } }
        : told;
      await storage.writeText(SHARED_CONTAINER, runBlob(report.run), JSON.stringify(report, null, 2));
      if (!over) return;
      try {
        await storage.writeText(
          SHARED_CONTAINER,
          pageBlob(report.run),
          await pageOf(storage, report, version),
        );
      } catch (error) {
        log.warn('the page of the report cannot be made', { run: report.run, error: String(error) });
      }
    },

    /**
     * Puts the differences that one look at the target found, and what a rollback left alone, into a file of their own: a
     * line for each record, with its key, what about it, and the fields that differ. No content, no secret.
     *
     * @returns how many there are; without any there is no file
     */
    async writeDifferences(input: DifferencesInput): Promise<{ lines: number }> {
      const storage = connections.storage(input.account);
      const writer = storage.writer(SHARED_CONTAINER, differencesBlob(input.run));
      let lines = 0;
      const parts = Array.from({ length: input.partitions }, (_, n) => workBlob.differences(input.pass, n));
      for (const blob of [...parts, workBlob.leftAlone, workBlob.configurationsLeftAlone]) {
        for await (const batch of ownLines(storage, input.work, blob)) {
          for (const line of batch) await writer.write(`${line}\n`);
          lines += batch.length;
        }
      }
      if (lines > 0) await writer.close();
      return { lines };
    },
  };
}

/** The report as a page. Samples of the plan are left out: they hold contents of twins, which this container never does. */
async function pageOf(storage: Storage, report: RunReport, version: string): Promise<string> {
  // The library that draws charts is loaded when there is something to draw.
  const { reportPage } = await import('../report/page.js');
  return reportPage(report, {
    version,
    differences: readDifferences(await differencesHead(storage, report.run)),
  });
}

/** The version of the Temporal server; null where it does not tell. */
async function serverVersion(client: Client): Promise<string | null> {
  try {
    const info = await client.withDeadline(Date.now() + PATIENCE, () =>
      client.connection.workflowService.getSystemInfo({}),
    );
    return info.serverVersion || null;
  } catch {
    return null;
  }
}
