import { differencesBlob, runBlob, SHARED_CONTAINER } from '../azure/shared-container.js';
import type { RunReport } from '../workflows/messages.js';
import type { Deps } from './deps.js';
import { ownLines, workBlob } from './work.js';

export interface DifferencesInput {
  readonly account: string;
  readonly run: string;
  readonly work: string;
  /** The look whose differences are kept. */
  readonly pass: number;
  readonly partitions: number;
}

export function reportActivities({ connections }: Deps) {
  return {
    /** Writes `runs/<RUN>.json`, which outlives what the Temporal server remembers. It holds no secret. */
    async writeReport(input: { account: string; report: RunReport }): Promise<void> {
      const storage = connections.storage(input.account);
      await storage.createContainer(SHARED_CONTAINER);
      await storage.writeText(
        SHARED_CONTAINER,
        runBlob(input.report.run),
        JSON.stringify(input.report, null, 2),
      );
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
