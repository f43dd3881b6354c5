import { BlobServiceClient } from '@azure/storage-blob';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openStorage, type Storage } from '../../azure/storage.js';
import { testCredential } from '../support/entra.js';
import { type Azurite, startAzurite, storageAt } from './azurite.js';
import { type Handler, type Service, startService } from './service.js';

describe('an account', () => {
  let azurite: Azurite;
  let service: BlobServiceClient;
  let storage: Storage;
  beforeAll(async () => {
    azurite = await startAzurite();
    const config = storageAt(azurite.port);
    service = BlobServiceClient.fromConnectionString(config.connectionString);
    storage = openStorage(config);
    await storage.createContainer('hf-a');
  });
  afterAll(() => azurite.stop());

  it('says for how long it keeps deleted blobs', async () => {
    expect(await storage.custody.deletedBlobsStay()).toBe(0);
    await service.setProperties({ deleteRetentionPolicy: { enabled: true, days: 7 } });
    expect(await storage.custody.deletedBlobsStay()).toBe(7);
    await service.setProperties({ deleteRetentionPolicy: { enabled: false } });
    expect(await storage.custody.deletedBlobsStay()).toBe(0);
  });

  it('without versions and soft delete keeps nothing, and the probe is gone', async () => {
    expect(await storage.custody.versionsStay('hf-a')).toBe(false);
    const blobs: string[] = [];
    for await (const { name } of storage.list('hf-a')) blobs.push(name);
    expect(blobs).toEqual([]);
    await storage.createContainer('hf-b');
    await storage.deleteContainer('hf-b');
    expect(await storage.custody.deletedContainerStays('hf-b')).toBe(0);
  });

  it('says whether anybody may read a container; ours nobody may', async () => {
    expect(await storage.custody.isPublic('hf-a')).toBe(false);
    expect(await storage.custody.isPublic('hf-none')).toBe(false);
    for (const access of ['blob', 'container'] as const) {
      await service.getContainerClient('jobs').createIfNotExists();
      await service.getContainerClient('jobs').setAccessPolicy(access);
      expect(await storage.custody.isPublic('jobs')).toBe(true);
    }
    const home = openStorage({
      ...storageAt(azurite.port),
      account: `${storage.account}/jobs`,
      container: 'jobs',
    });
    expect(await home.custody.isPublic('hf-folder')).toBe(true);
    expect(await home.custody.deletedContainerStays('hf-folder')).toBe(0);
  });
});

describe('an account that cannot be had here', () => {
  let service: Service;
  let storage: Storage;
  beforeEach(async () => {
    service = await startService();
    const credential = testCredential(() => 't');
    const config = { account: `https://localhost:${service.port}`, connectionString: null };
    storage = openStorage(config, { ca: service.ca, credential });
  });
  afterEach(() => service.close());

  const refusing =
    (status: number, code: string): Handler =>
    (response) => {
      response.writeHead(status, { 'x-ms-error-code': code, 'Content-Type': 'application/xml' });
      response.end(`<Error><Code>${code}</Code><Message>No.</Message></Error>`);
    };

  it('keeps versions: what is written has one', async () => {
    service.answer((response, { method }) => {
      if (method === 'PUT') response.setHeader('x-ms-version-id', '2026-01-01T00:00:00.0000000Z');
      response.writeHead(method === 'PUT' ? 201 : 202);
      response.end();
    });
    expect(await storage.custody.versionsStay('hf-a')).toBe(true);
    expect(service.asked.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'PUT /hf-a/hubferry-probe',
      'DELETE /hf-a/hubferry-probe',
    ]);
  });

  it('keeps deleted containers: one that was deleted is listed as such', async () => {
    const listed =
      (deleted: string): Handler =>
      (response) => {
        response.writeHead(200, { 'Content-Type': 'application/xml' });
        const container = (name: string): string =>
          `<Container><Name>${name}</Name>${deleted}<Properties><Last-Modified>Sat, 28 Nov 2026 00:00:00 GMT</Last-Modified><Etag>"1"</Etag><RemainingRetentionDays>5</RemainingRetentionDays></Properties></Container>`;
        response.end(
          `<?xml version="1.0"?><EnumerationResults ServiceEndpoint="x"><Containers>${container('hf-a-more')}${container('hf-a')}</Containers><NextMarker/></EnumerationResults>`,
        );
      };
    service.answer(listed('<Deleted>true</Deleted><Version>1</Version>'));
    expect(await storage.custody.deletedContainerStays('hf-a')).toBe(5);
    expect(service.asked[0]?.url).toMatch(/^\/\?comp=list&prefix=hf-a&include=deleted/);
    expect(await storage.custody.deletedContainerStays('hf-b')).toBe(0);
    service.answer(listed(''));
    expect(await storage.custody.deletedContainerStays('hf-a')).toBe(0);
  });

  it('does not tell whoever has no right to ask', async () => {
    service.answer(refusing(403, 'AuthorizationPermissionMismatch'));
    expect(await storage.custody.deletedBlobsStay()).toBeNull();
    expect(await storage.custody.deletedContainerStays('hf-a')).toBeNull();
    await expect(storage.custody.versionsStay('hf-a')).rejects.toMatchObject({
      code: 'STORAGE_UNAUTHORIZED',
    });
  });
});
