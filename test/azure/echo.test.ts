import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openHub } from '../../azure/hub-client.js';
import { openKeyRing } from '../../azure/key-ring.js';
import { openStorage } from '../../azure/storage.js';
import { HubferryError } from '../../registry/errors.js';
import { scrubValue } from '../../worker/scrub.js';
import { testCredential } from '../support/entra.js';
import { leaksIn } from '../support/planted.js';
import { hubAt, PLANTED_KEY, type Service, startService } from './service.js';

/** Services that answer with all that they were asked: what they were asked with must not come out again. */
let service: Service;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.close());
beforeEach(() => service.forget());

const SIGNATURE = Buffer.from('signature-of-32-bytes-in-base64!').toString('base64');
const SAS = `https://acct.blob.core.windows.net/c?sv=2025&sp=rl&sig=${encodeURIComponent(SIGNATURE)}`;
const TOKEN = `eyJ0eXAiOiJKV1QifQ.${Buffer.from('{"aud":"x","oid":"somebody"}').toString('base64url')}.c2ln`;

type Envelope = (words: string) => string;
const echoes = (status: number, type: string, envelope: Envelope): void => {
  service.answer((response) => {
    const { method, url, headers, body } = service.asked.at(-1) ?? {};
    response.writeHead(status, { 'Content-Type': type });
    // What matters first: a message is cut where it gets long.
    response.end(envelope(`${headers?.authorization} ${method} ${url} ${body} ${JSON.stringify(headers)}`));
  });
};

/** What nobody may see, with the signatures that came by. */
function secrets(): Map<string, string> {
  const found = new Map([
    ['the key', PLANTED_KEY],
    ['the SAS', SIGNATURE],
    ['the token', TOKEN.split('.')[1] ?? ''],
  ]);
  service.asked.forEach(({ headers: { authorization = '' } }, index) => {
    const sent = /sig=([^&]+)/.exec(authorization)?.[1] ?? /SharedKey \w+:(.*)/.exec(authorization)?.[1];
    if (sent !== undefined) found.set(`signature ${index}`, decodeURIComponent(sent));
  });
  return found;
}

/** Fails unless the call fails with an error of ours, which holds none of the secrets, as it is told and as it is logged. */
async function expectScrubbed(call: () => Promise<unknown>): Promise<void> {
  const error: unknown = await call().then(
    () => null,
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(HubferryError);
  const { message, hint, stack } = error as HubferryError;
  const told = [message, hint, stack, JSON.stringify(error), JSON.stringify(scrubValue(error))].join('\n');
  expect(service.asked.length).toBeGreaterThan(0);
  expect(leaksIn(secrets(), 'the error', told)).toEqual([]);
}

const plain: Envelope = (words) => words;
const asMessage: Envelope = (words) => JSON.stringify({ Message: `ErrorCode:ArgumentInvalid;${words}` });
const nested: Envelope = (words) =>
  JSON.stringify({ Message: JSON.stringify({ errorCode: 400004, message: words }) });
const encoded: Envelope = (words) => JSON.stringify({ Message: Buffer.from(words).toString('base64') });

describe.each([
  ['as it came', plain],
  ['in its envelope', asMessage],
  ['in an envelope within', nested],
  ['in base64', encoded],
])('a hub that echoes what it was asked %s', (_name, envelope) => {
  it.each([400, 401, 403, 500])('with HTTP %i', async (status) => {
    echoes(status, 'application/json', envelope);
    const host = `hub.localhost:${service.port}`;
    const sas = hubAt(host, { ca: service.ca });
    const { ca } = service;
    const entra = openHub(
      { alias: 'a', host, connectionString: null, readOnly: false, tier: 'S1', units: 1, maxRecords: 1 },
      { ca, credential: testCredential(() => TOKEN) },
    );
    try {
      for (const hub of [sas, entra]) {
        await expectScrubbed(() => hub.getDevice('d'));
        await expectScrubbed(() => hub.statistics());
        await expectScrubbed(() => hub.createImport(SAS, SAS));
        await expectScrubbed(() => hub.createExport(SAS, { excludeKeys: false }));
      }
    } finally {
      sas.close();
      entra.close();
    }
  });
});

describe.each([
  ['as it came', plain],
  ['in base64', (words: string) => Buffer.from(words).toString('base64')],
])('storage that echoes what it was asked %s', (_name, form) => {
  it.each([400, 403, 409])('with HTTP %i', async (status) => {
    echoes(
      status,
      'application/xml',
      (words) => `<Error><Code>Echo</Code><Message>${form(words).replace(/[<&]/g, ' ')}</Message></Error>`,
    );
    const account = `https://localhost:${service.port}/acct`;
    const key = `DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=${PLANTED_KEY};BlobEndpoint=${account};`;
    const byKey = openStorage({ account, connectionString: key }, { ca: service.ca });
    const byToken = openStorage(
      { account, connectionString: null },
      { ca: service.ca, credential: testCredential(() => TOKEN) },
    );
    for (const storage of [byKey, byToken]) {
      await expectScrubbed(() => storage.writeText('c', 'b', 'text'));
      await expectScrubbed(() => storage.readText('c', 'b'));
    }
  });
});

it('a vault that echoes what it was asked', async () => {
  service.answer((response) => {
    const { headers } = service.asked.at(-1) ?? {};
    const message = JSON.stringify(headers);
    const challenge = 'Bearer authorization="https://login.example/t", resource="https://vault.example"';
    response.writeHead(headers?.authorization === undefined ? 401 : 403, {
      'Content-Type': 'application/json',
      'WWW-Authenticate': challenge,
    });
    response.end(JSON.stringify({ error: { code: 'Forbidden', message } }));
  });
  const keys = [{ id: 'k', vault: `https://localhost:${service.port}`, secret: 'echo' }];
  const credential = testCredential(() => TOKEN);
  await expectScrubbed(() => openKeyRing({ path: 'x', keys, keyId: 'k' }, { ca: service.ca, credential }));
});
