import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { createActivities, type Deps } from '../activities/index.js';
import { NO_KEYS } from '../azure/key-ring.js';
import { createWorkerPair } from '../worker/worker-pair.js';
import { fileStorage } from './file-storage.js';

/** A worker whose storage are local files; says `ready` to the process that forked it. */
const [address = '', taskQueue = '', root = '', workflowBundle = ''] = process.argv.slice(2);
Runtime.install({ logger: new DefaultLogger('ERROR') });
const connection = await NativeConnection.connect({ address });
const storage = fileStorage(root);
const connections = { storage: () => storage } as unknown as Deps['connections'];
const pair = await createWorkerPair({
  connection,
  namespace: 'default',
  activities: createActivities({ connections } as Deps),
  ring: NO_KEYS,
  tuning: { taskQueue, workflowBundle, build: 'bench' },
});
const running = pair.run();
process.send?.('ready');
process.once('disconnect', () => pair.shutdown());
await running;
await connection.close();
