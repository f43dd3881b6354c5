import type { BlobServiceClient, ContainerClient } from '@azure/storage-blob';
import { type StorageCall, storageAnswer } from './storage-errors.js';
import type { Custody } from './storage-port.js';
import { deadline } from './storage-transport.js';

/** Statuses of an account that does not tell something: no right to ask, or nothing that knows the question. */
const UNTOLD = [400, 401, 403, 501];

/** Written and deleted, to see what stays. It holds nothing. */
const PROBE_BLOB = 'hubferry-probe';

/** @param place the client of a container that hubferry names, and the folder in it that stands for one, or none */
export function custodyOf(
  service: BlobServiceClient,
  call: (what: string) => StorageCall,
  place: (container: string) => { readonly client: ContainerClient; readonly folder: string },
): Custody {
  return {
    async deletedBlobsStay() {
      const answer = await storageAnswer(
        call('look at its properties'),
        () => service.getProperties({ abortSignal: deadline() }),
        UNTOLD,
      );
      if (answer === null) return null;
      const { enabled = false, days = 0 } = answer.deleteRetentionPolicy ?? {};
      return enabled ? days : 0;
    },

    async versionsStay(container) {
      const { client, folder } = place(container);
      const blob = client.getBlockBlobClient(`${folder}${PROBE_BLOB}`);
      const { versionId } = (await storageAnswer(call(`write ${container}/${PROBE_BLOB}`), () =>
        blob.upload('', 0, { abortSignal: deadline() }),
      )) ?? { versionId: undefined };
      await storageAnswer(
        call(`delete ${container}/${PROBE_BLOB}`),
        () => blob.delete({ abortSignal: deadline() }),
        [404],
      );
      return versionId !== undefined;
    },

    async deletedContainerStays(container) {
      if (place(container).folder !== '') return 0;
      return await storageAnswer(
        call('list its deleted containers'),
        async () => {
          for await (const one of service.listContainers({
            prefix: container,
            includeDeleted: true,
            abortSignal: deadline(),
          }))
            if (one.name === container && one.deleted === true)
              return one.properties.remainingRetentionDays ?? 1;
          return 0;
        },
        UNTOLD,
      );
    },

    async isPublic(container) {
      const { client } = place(container);
      const answer = await storageAnswer(
        call(`look at container ${client.containerName}`),
        () => client.getProperties({ abortSignal: deadline() }),
        [404],
      );
      return answer?.blobPublicAccess !== undefined;
    },
  };
}
