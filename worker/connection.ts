import type { Client, Connection, ConnectionOptions } from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import type proto from '@temporalio/proto';
import { isLoopbackHost } from '../azure/loopback.js';
import type { TemporalConfig } from '../config/model.js';
import { HubferryError } from '../registry/errors.js';
import { BLIND } from './data-converter.js';
import { SEARCH_ATTRIBUTES, type SearchAttributeType } from './dev-server.js';
import { temporal as library, protocol } from './temporal.js';
import { messageOf } from './unknown.js';

/** Where a Temporal server is and who we are there, as in the configuration's `temporal:` section. */
export type TemporalAddress = TemporalConfig;

/**
 * After an outage grpc-js waits up to 20 s longer than the server needs; with these it is back within a second. The
 * pool is our own, so that the options hold even if another client of the process made the first connection.
 */
const CHANNEL_ARGS: NonNullable<ConnectionOptions['channelArgs']> = {
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 500,
  'grpc.use_local_subchannel_pool': 1,
};

/**
 * grpc-js follows http_proxy and https_proxy even to this machine, unless no_proxy names it. The worker's own, native
 * connection does not look at these variables.
 */
const WITHOUT_PROXY = { 'grpc.enable_http_proxy': 0 } as const;

/** How long a first connection may take, ms. */
const CONNECT_TIMEOUT = 5_000;

/** gRPC status codes. */
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const UNIMPLEMENTED = 12;
const UNAUTHENTICATED = 16;

export interface ConnectOptions {
  /** How payloads are written and read; left out, what is sealed is read as null. */
  readonly dataConverter?: DataConverter;
  /** How long a first connection may take, ms. */
  readonly connectTimeout?: number;
}

/**
 * Connects to a Temporal server and checks that the namespace exists.
 *
 * @throws HubferryError TEMPORAL_UNREACHABLE
 */
export async function connectClient(
  temporal: TemporalAddress,
  { dataConverter = BLIND, connectTimeout = CONNECT_TIMEOUT }: ConnectOptions = {},
): Promise<{ connection: Connection; client: Client }> {
  const { address, namespace, access = {} } = temporal;
  let connection: Connection;
  try {
    const channelArgs = isLoopbackHost(address) ? { ...CHANNEL_ARGS, ...WITHOUT_PROXY } : CHANNEL_ARGS;
    connection = await library().Connection.connect({ address, ...access, connectTimeout, channelArgs });
  } catch (error) {
    throw unreachable(`No Temporal server answers at ${address} (${reasonOf(error)}).`);
  }
  try {
    await connection.withDeadline(Date.now() + connectTimeout, () =>
      connection.workflowService.describeNamespace({ namespace }),
    );
  } catch (error) {
    // A client may be allowed to run workflows but not to read its namespace.
    if (codeOf(error) !== PERMISSION_DENIED) {
      await connection.close();
      const problem =
        codeOf(error) === NOT_FOUND ? `has no namespace ‘${namespace}’` : `refuses: ${reasonOf(error)}`;
      throw unreachable(`The Temporal server at ${address} ${problem}.`);
    }
  }
  return { connection, client: new (library().Client)({ connection, namespace, dataConverter }) };
}

/**
 * Registers the search attributes that a namespace lacks. A server that does not let us look is left alone: they may
 * be there, and the start of a run says so if not.
 *
 * @throws HubferryError TEMPORAL_REFUSED if one is missing and may not be registered, or has another type;
 *   TEMPORAL_UNREACHABLE if the server does not answer
 */
export async function ensureSearchAttributes(connection: Connection, namespace: string): Promise<void> {
  const missing = await missingAttributes(connection, namespace);
  if (Object.keys(missing).length === 0) return;
  try {
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes: missing });
  } catch (error) {
    // Another worker that started at the same time may have been first.
    const names = Object.keys(await missingAttributes(connection, namespace));
    if (names.length === 0) return;
    const commands = names.map(
      (name) =>
        `temporal operator search-attribute create --namespace ${namespace} --name ${name} --type ${SEARCH_ATTRIBUTES[name]}`,
    );
    throw new HubferryError(
      'TEMPORAL_REFUSED',
      `The namespace ‘${namespace}’ lacks the search attributes ${names.join(', ')}, and this worker may not register them (${reasonOf(error)}). The command: ${commands.join('; ')}`,
    );
  }
}

type Attributes = Record<string, proto.temporal.api.enums.v1.IndexedValueType>;

/** The search attributes that a namespace lacks, as far as the server lets us look. */
async function missingAttributes(connection: Connection, namespace: string): Promise<Attributes> {
  const missing: Attributes = {};
  const registered = await listAttributes(connection, namespace);
  if (registered === undefined) return missing;
  const types = indexedTypes();
  for (const [name, type] of Object.entries(SEARCH_ATTRIBUTES)) {
    const wanted = types[type];
    const present = registered[name];
    if (present === undefined || present === null) missing[name] = wanted;
    else if (present !== wanted) {
      throw new HubferryError(
        'TEMPORAL_REFUSED',
        `The namespace ‘${namespace}’ has a search attribute ${name} of another type than ${type}.`,
        'Remove it, or use another namespace.',
      );
    }
  }
  return missing;
}

type IndexedTypes = Readonly<Record<SearchAttributeType, proto.temporal.api.enums.v1.IndexedValueType>>;

function indexedTypes(): IndexedTypes {
  const { IndexedValueType } = protocol().temporal.api.enums.v1;
  return {
    Text: IndexedValueType.INDEXED_VALUE_TYPE_TEXT,
    Keyword: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    Int: IndexedValueType.INDEXED_VALUE_TYPE_INT,
    Double: IndexedValueType.INDEXED_VALUE_TYPE_DOUBLE,
    Bool: IndexedValueType.INDEXED_VALUE_TYPE_BOOL,
    Datetime: IndexedValueType.INDEXED_VALUE_TYPE_DATETIME,
    KeywordList: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
  };
}

async function listAttributes(connection: Connection, namespace: string) {
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    return customAttributes ?? {};
  } catch (error) {
    const code = codeOf(error);
    if (code === PERMISSION_DENIED || code === UNIMPLEMENTED || code === UNAUTHENTICATED) return undefined;
    throw unreachable(`The search attributes of ‘${namespace}’ cannot be read (${reasonOf(error)}).`);
  }
}

function unreachable(message: string): HubferryError {
  return new HubferryError('TEMPORAL_UNREACHABLE', message);
}

function codeOf(error: unknown): number | undefined {
  return library().isGrpcServiceError(error) ? error.code : undefined;
}

function reasonOf(error: unknown): string {
  if (library().isGrpcServiceError(error)) return error.details || `gRPC ${error.code}`;
  return messageOf(error);
}
