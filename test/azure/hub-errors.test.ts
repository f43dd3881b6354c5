import { describe, expect, it } from 'vitest';
import { hubAnswerError, hubSilentError } from '../../azure/hub-errors.js';
import { ERRORS } from '../../registry/errors.js';

const call = { host: 'hub.example', policy: 'iothubowner', what: 'read device x' };

/** Shapes as recorded from a live hub (service facts, "Error format"). */
const one = (name: string, words: string): string =>
  JSON.stringify({ Message: `ErrorCode:${name};${words}`, ExceptionMessage: 'Tracking ID:abc-G:1' });
const two = (errorCode: number, message: string): string =>
  JSON.stringify({ errorCode, message, trackingId: 'abc', timestampUtc: '2026-01-01T00:00:00Z' });

interface Case {
  readonly status: number;
  readonly header?: string;
  readonly contentType?: string;
  readonly text: string;
  readonly code: keyof typeof ERRORS;
  readonly name: string | null;
  readonly retryable: boolean;
}

const cases: Record<string, Case> = {
  'a wrong key': {
    status: 401,
    header: 'IotHubUnauthorizedAccess',
    text: one('IotHubUnauthorizedAccess', 'Unauthorized'),
    code: 'HUB_UNAUTHORIZED',
    name: 'IotHubUnauthorizedAccess',
    retryable: false,
  },
  'a taken slot': {
    status: 403,
    header: 'JobQuotaExceeded',
    text: one(
      'JobQuotaExceeded',
      'Error: 403 ErrorCode: JobQuotaExceeded\nMessage: Job quota has been exceeded',
    ),
    code: 'HUB_SLOT_TAKEN',
    name: 'JobQuotaExceeded',
    retryable: true,
  },
  'a taken slot, without the header': {
    status: 403,
    text: one('JobQuotaExceeded', 'quota'),
    code: 'HUB_SLOT_TAKEN',
    name: 'JobQuotaExceeded',
    retryable: true,
  },
  'a taken slot, by number': {
    status: 403,
    text: two(403003, 'quota'),
    code: 'HUB_SLOT_TAKEN',
    name: 'JobQuotaExceeded',
    retryable: true,
  },
  'a full hub': {
    status: 403,
    text: one('IotHubQuotaExceeded', 'Total number of devices exceeded.'),
    code: 'HUB_REFUSED',
    name: 'IotHubQuotaExceeded',
    retryable: false,
  },
  'a container it cannot use': {
    status: 400,
    header: 'BlobContainerValidationError',
    text: one('BlobContainerValidationError', 'Unauthorized to write to output blob container.'),
    code: 'CONTAINER_REFUSED',
    name: 'BlobContainerValidationError',
    retryable: false,
  },
  'a bad request': {
    status: 400,
    text: one('ArgumentInvalid', 'BadRequest'),
    code: 'HUB_REFUSED',
    name: 'ArgumentInvalid',
    retryable: false,
  },
  'no such thing': {
    status: 404,
    text: one('DeviceNotFound', 'no'),
    code: 'HUB_REFUSED',
    name: 'DeviceNotFound',
    retryable: false,
  },
  'failing over': {
    status: 404,
    text: two(404012, 'failing over'),
    code: 'HUB_UNAVAILABLE',
    name: 'IotHubFailingOver',
    retryable: true,
  },
  'a module that is there': {
    status: 409,
    text: two(409301, 'there'),
    code: 'HUB_REFUSED',
    name: 'ModuleAlreadyExistsOnDevice',
    retryable: false,
  },
  'the second envelope inside the first': {
    status: 404,
    text: JSON.stringify({ Message: two(404103, 'Timed out'), ExceptionMessage: '' }),
    code: 'HUB_REFUSED',
    name: '404103',
    retryable: false,
  },
  'an ETag that moved': {
    status: 412,
    text: one('PreconditionFailed', 'ETag may be invalid.'),
    code: 'HUB_REFUSED',
    name: 'PreconditionFailed',
    retryable: false,
  },
  throttled: {
    status: 429,
    text: one('ThrottlingBacklogTimeout', 'Wait 10 seconds'),
    code: 'HUB_THROTTLED',
    name: 'ThrottlingBacklogTimeout',
    retryable: true,
  },
  'a timeout': { status: 408, text: '', code: 'HUB_UNAVAILABLE', name: null, retryable: true },
  'a broken service': {
    status: 500,
    text: one('ServerError', 'oops'),
    code: 'HUB_UNAVAILABLE',
    name: 'ServerError',
    retryable: true,
  },
  'a gateway’s page': {
    status: 502,
    text: '<html><h1>Bad gateway</h1></html>',
    code: 'HUB_UNAVAILABLE',
    name: null,
    retryable: true,
  },
  'a proxy’s page in the way': {
    status: 403,
    contentType: 'text/html; charset=utf-8',
    text: '<html><h1>Access denied</h1></html>',
    code: 'HUB_UNAVAILABLE',
    name: null,
    retryable: true,
  },
  busy: {
    status: 503,
    header: 'ServerBusy',
    text: '',
    code: 'HUB_UNAVAILABLE',
    name: 'ServerBusy',
    retryable: true,
  },
  'a redirect': { status: 307, text: '', code: 'HUB_REFUSED', name: null, retryable: false },
};

describe('an answer', () => {
  it.each(Object.entries(cases))('%s', (_name, answer) => {
    const { status, header, contentType, text, code, name, retryable } = answer;
    const headers = {
      ...(header === undefined ? {} : { 'iothub-errorcode': header }),
      ...(contentType === undefined ? {} : { 'content-type': contentType }),
    };
    const error = hubAnswerError(call, { status, headers, text });
    expect([error.code, error.serviceCode, error.status]).toEqual([code, name, status]);
    expect(ERRORS[error.code].retryable).toBe(retryable);
    expect(error.message).toMatch(/^hub\.example(?: with policy "iothubowner")? cannot read device x \(/);
    expect(error.message).toContain(`HTTP ${status}`);
    expect(error.message).not.toContain('\n');
  });

  it('names host and policy where the key is wrong', () => {
    const error = hubAnswerError(call, {
      status: 401,
      headers: {},
      text: one('IotHubUnauthorizedAccess', 'Unauthorized'),
    });
    expect(error.message).toBe(
      'hub.example with policy "iothubowner" cannot read device x (IotHubUnauthorizedAccess, HTTP 401): Unauthorized',
    );
  });

  it('is told without the secrets that it echoes', () => {
    const key = 'aHViZmVycnktcGxhbnRlZC1rZXktMDEyMzQ1Njc4OQ==';
    const line = JSON.stringify({
      authentication: { symmetricKey: { primaryKey: key, secondaryKey: 'short' } },
    });
    const text = one(
      'ArgumentInvalid',
      `line ${line}, container https://a/c?sv=1&sig=${encodeURIComponent(key)}&se=2`,
    );
    const { message } = hubAnswerError(call, { status: 400, headers: {}, text });
    expect(message).not.toMatch(/aHViZmVy|short|%3D/);
    expect(message).toContain('sv=1&sig=***');
  });
});

describe('silence', () => {
  const silent = (code: string, message = ''): { code: string; message: string; hint: string } => {
    const {
      code: ours,
      message: words,
      hint,
    } = hubSilentError(call, Object.assign(new Error(message), { code }));
    return { code: ours, message: words, hint };
  };

  it.each(['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'ETIMEDOUT', 'EAI_AGAIN'])('%s', (code) => {
    expect(silent(code)).toMatchObject({
      code: 'HUB_UNREACHABLE',
      message: `hub.example cannot be reached to read device x (${code})`,
    });
  });

  it.each(['EPROTO', 'ERR_SSL_WRONG_VERSION_NUMBER'])('no TLS at all (%s)', (code) => {
    expect(silent(code, 'write EPROTO 40F7:error:0A00010B:SSL routines::wrong version number')).toMatchObject(
      {
        code: 'HUB_UNREACHABLE',
        message: `hub.example does not speak TLS on this port (${code})`,
      },
    );
  });

  it('a certificate that is not trusted, with the way out', () => {
    const { code, message, hint } = silent('DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate');
    expect(code).toBe('HUB_UNTRUSTED');
    expect(message).toBe(
      'hub.example shows a certificate that is not trusted here (DEPTH_ZERO_SELF_SIGNED_CERT)',
    );
    expect(hint).toContain('NODE_EXTRA_CA_CERTS');
  });
});
