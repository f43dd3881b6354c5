// The supervisor's process: `node supervisor-main.js '<SupervisorSpec as JSON>'`, started detached by embedded.ts.
import { createLogger } from './log.js';
import { Supervisor } from './supervisor.js';
import { END_IF_IDLE, type SupervisorNews, type SupervisorSpec } from './supervisor-spec.js';
import { messageOf } from './unknown.js';

// Everything that server and worker write holds names of hubs and devices: for nobody but the owner.
process.umask(0o077);

const log = createLogger();
const spec: SupervisorSpec = JSON.parse(process.argv[2] ?? '{}');
const supervisor = new Supervisor(spec, log);

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.on(signal, () => void supervisor.end(signal));
}
process.on(END_IF_IDLE, () => {
  void supervisor.endIfIdle().catch((error: unknown) => log.error({ reason: messageOf(error) }, 'not ended'));
});
process.on('uncaughtException', (error) => {
  // Children that are ours end with us; the next start finds a dead lock.
  log.error({ err: error }, 'supervisor failed');
  process.exit(1);
});

let exitCode = 0;
let told: Promise<void> | undefined;
await supervisor.run((news) => {
  if (news.kind === 'failed') exitCode = 1;
  told = tell(news);
});
await told;
log.info({ exitCode }, 'ended');
process.exit(exitCode);

/** The command that started us may be gone already. */
async function tell(news: SupervisorNews): Promise<void> {
  if (!process.connected) return;
  await new Promise<void>((resolve) => {
    process.send?.(news, undefined, undefined, (error) => {
      if (error) log.warn({ reason: messageOf(error) }, 'nobody listens any more');
      resolve();
    });
  });
}
