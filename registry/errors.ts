/** What hubferry knows about one of its stable error codes. `docs/errors.md` lists them all. */
export interface ErrorInfo {
  /** 1: the run failed; 2: wrong usage or configuration, seen without a network call; 130: Ctrl-C. */
  readonly exit: 1 | 2 | 130;
  /** Whether trying the same call again can help: decides the retry policy of activities. */
  readonly retryable: boolean;
  /**
   * Whether a run that meets it in the middle rests until somebody has mended it, and then tries the same step again:
   * where waiting, or an act outside of hubferry, can help. All others end a run at once.
   */
  readonly parks: boolean;
  /** What the user can do about it. */
  readonly hint: string;
}

const usage = (hint: string): ErrorInfo => ({ exit: 2, retryable: false, parks: false, hint });
const final = (hint: string): ErrorInfo => ({ exit: 1, retryable: false, parks: false, hint });
const passing = (hint: string): ErrorInfo => ({ exit: 1, retryable: true, parks: true, hint });
/** Trying again helps only when somebody has done what the hint says. */
const mendable = (hint: string): ErrorInfo => ({ exit: 1, retryable: false, parks: true, hint });

/** Every code that can reach a user. */
export const ERRORS = {
  USAGE: usage('See `hubferry --help`, or `hubferry VERB --help`.'),
  CONFIG_NOT_FOUND: usage('Make one with `hubferry init`, or name a file with --config.'),
  CONFIG_EXISTS: usage('Name another file with --config, or replace this one with --force.'),
  CONFIG_INVALID: usage('Correct the named line; hubferry.example.yaml shows every key.'),
  ENV_NOT_SET: usage('Set the environment variable, or write the value another way.'),
  HUB_UNKNOWN: usage('Use an alias from `hubs:` of the configuration.'),
  CONNECTION_STRING_INVALID: usage(
    'Copy the connection string of a policy with registry rights from the hub.',
  ),
  SAME_HUB: usage('Source and target must be two different hubs.'),
  HUB_READ_ONLY: usage('Remove `readOnly: true` from the hub if it is really meant to be written.'),
  HUB_NOT_SCRATCH: usage(
    'Declare `role: scratch` for it, in the configuration of command and worker, if nothing on it matters.',
  ),
  RULE_INVALID: usage('Correct the named line of the rules file; docs/rules.md shows what rules can do.'),
  EDIT_INVALID: usage('Correct the named line; docs/edit.md shows what edits can do.'),
  STORAGE_MISSING: usage('Add `storage: { connectionString: … }` to the configuration.'),
  STORAGE_NOT_REACHABLE_BY_HUB: usage(
    'A hub in the cloud cannot reach storage on loopback: use an Azure storage account.',
  ),
  OTHER_CONFIGURATION: usage('Wait for its runs to end, run `hubferry down` there, or set HUBFERRY_HOME.'),

  HUB_UNAUTHORIZED: mendable(
    'Check key and policy (iothubowner has all rights), or the identity’s role (IoT Hub Data Contributor).',
  ),
  HUB_UNREACHABLE: passing('Check the host name, the network and, for a private CA, NODE_EXTRA_CA_CERTS.'),
  HUB_UNTRUSTED: mendable(
    'If the hub has a private CA, name its certificate file in NODE_EXTRA_CA_CERTS; otherwise check the host name.',
  ),
  HUB_THROTTLED: passing('Look for other tools that use this hub; run the same command again later.'),
  HUB_UNAVAILABLE: passing('Run the same command again later; if it stays, ask whoever runs the hub.'),
  HUB_REFUSED: final('The hub refuses this request as it is; its code and words are in the message.'),
  HUB_SLOT_TAKEN: passing('Another import or export job runs on this hub; a hub runs one at a time.'),
  HUB_NOT_CONFIGURED_HERE: mendable(
    'The worker that runs this has no credentials for the hub: add it to that worker’s configuration.',
  ),
  CONTAINER_REFUSED: mendable(
    'Check that the hub can reach the storage account, and with `identity` that its identity has a role there.',
  ),
  HUB_ROLE_PENDING: passing('A new role needs up to half a minute to work; it is tried for two minutes.'),
  HUB_HAS_NO_IDENTITY: mendable(
    'Switch the hub’s managed identity on, or remove `identity` from its configuration.',
  ),
  SIGN_IN_FAILED: passing(
    'Give the worker an identity: a managed one, AZURE_… in its environment, or `az login`; see docs/identity.md.',
  ),
  KEY_UNKNOWN: mendable(
    'Add the key to `keys:` of this process’s configuration; keep old keys there while anything needs them.',
  ),
  KEY_MISMATCH: mendable('Give every process the same key under this id; a new key needs a new id.'),
  KEY_VAULT_UNREACHABLE: passing(
    'Check the vault’s address in `keys:`, the network and the vault’s firewall.',
  ),
  KEY_VAULT_UNAUTHORIZED: mendable(
    'Give the identity of this process the role Key Vault Secrets User at the vault.',
  ),
  KEY_VAULT_NO_KEY: mendable(
    'Store base64 of 32 random bytes as that secret (`openssl rand -base64 32`), or correct its name.',
  ),
  STORAGE_UNREACHABLE: passing('Check the storage account’s address and the network.'),
  STORAGE_CONTENDED: passing(
    'Another attempt of the same step was at work on it; run the same command again.',
  ),
  SEAL_BROKEN: final(
    'Somebody changed or cut it. Of a snapshot, take a new one; otherwise run the same command again.',
  ),
  STORAGE_UNAUTHORIZED: mendable(
    'Check the storage account’s key, or the identity’s role (Storage Blob Data Contributor).',
  ),
  STORAGE_REFUSED: final('The storage account refuses this request; its code is in the message.'),
  CONTAINERS_NOT_ALLOWED: mendable(
    'Allow it to make containers, or name ones made beforehand: storage.container, and container of every hub.',
  ),
  LEASE_REFUSED: final(
    'The account must let blobs be leased: use a standard blob account, and a role or SAS that may write.',
  ),
  STORAGE_CONTAINER_MISSING: mendable('Make the container, or correct its name in the configuration.'),
  STORAGE_NOT_CONFIGURED_HERE: mendable(
    'The worker that runs this is configured for another storage account, or another container in it.',
  ),

  TARGET_FULL: final('Make room on the target, or raise `maxRecords` if its real limit is higher.'),
  TARGET_DIFFERS: final(
    'Use --existing overwrite to make them equal, or --existing skip to leave them as they are.',
  ),
  TOO_MANY_DELETES: final('Look at the plan; --max-delete N allows more.'),
  DELETES_UNSAFE: final('Run it with --extra keep, or look why the snapshot is not whole.'),
  TARGET_BUSY: mendable(
    'Wait for that run (`hubferry list`), or cancel it; `hubferry gc` frees what a lost run holds.',
  ),
  REFUSED_UNDER_STRICT: final('Correct the named records in the source, or run without --strict.'),
  KEYS_EXCLUDED: final(
    '--keys regenerate makes new keys, which devices then have to be given; or take a snapshot with keys.',
  ),
  RULE_FAILED: final('Correct the rule: `has(tags.site)` asks whether a record has something.'),
  RENAME_COLLISION: final('Correct the rules so that every device gets an id of its own.'),
  PARENT_FILTERED: final(
    'Use --orphans detach to move them without a parent, --orphans exclude to leave them out, or mend the rules.',
  ),
  SNAPSHOT_NOT_FOUND: final('`hubferry snapshot HUB` prints the id of a new one.'),
  SNAPSHOT_LINE_NOT_JSON: final('The snapshot is damaged; take a new one.'),
  SNAPSHOT_LINE_NO_ID: final('The snapshot is damaged; take a new one.'),
  SNAPSHOT_LINE_BAD_FIELD: final('The snapshot is damaged; take a new one.'),
  SNAPSHOT_DUPLICATE: final('The snapshot is damaged; take a new one.'),
  SNAPSHOT_DAMAGED: final('The snapshot is not what was taken; take a new one.'),
  SNAPSHOT_CUT: final('The snapshot ends inside a line; take a new one.'),
  JOB_FAILED: mendable(
    'The hub’s job did not end well; its reason is in the message. Run the same command again.',
  ),
  PLAN_STALE: final('The target changed since the plan was made. Run the same command again.'),
  PLAN_NOT_FOUND: final(
    '`hubferry list --json` shows the plans of runs; make a new one with `hubferry plan`.',
  ),
  PLAN_OTHER: final(
    'Look at the plan of this run (`hubferry status RUN`), and approve that one or cancel the run.',
  ),
  NOT_PARKED: final(
    '`hubferry status RUN` shows how it stands; only a run with --approve waits, once it has a plan.',
  ),
  ALREADY_PARKED: final('`hubferry status RUN` shows what it waits for.'),
  NOT_PAUSED: final('`hubferry status RUN` shows how it stands.'),
  RUN_ENDED: final('`hubferry status RUN` shows how it ended.'),
  HUB_NOT_OF_RUN: final('`hubferry status RUN` shows the hubs of a run.'),
  SCRATCH_IN_USE: final('Take a hub for drills that is used for nothing else.'),
  SCRATCH_NOT_EMPTY: final('Look what it holds; a drill fills and empties only a hub that holds nothing.'),
  SOURCE_NOT_DISABLED: final('See that run (`hubferry status RUN`); what it did was undone.'),
  FOLLOWED_TOO_LONG: final(
    'Run the same command with --existing overwrite: it sends only what still differs.',
  ),
  RUN_NOT_UNDOABLE: final(
    'Only a run of `migrate`, `edit` or `rollback` that has ended, and had a plan, can be undone.',
  ),
  PLAN_NOT_KEPT: final(
    'Restore the snapshot from before the run: `hubferry migrate snapshot:ID TARGET --existing overwrite`.',
  ),
  EDITS_LOST: final('Run the same command again; nobody else may write to the containers of a run.'),
  LEDGER_UNBALANCED: final(
    'Counts do not add up, so nothing can be proven. Please report this with the run’s report.',
  ),

  TEMPORAL_UNREACHABLE: mendable(
    'Check `temporal.address`. Without one, run `hubferry down`, then the command again.',
  ),
  NO_WORKER: final('Start `hubferry worker`, or leave `temporal:` out for the embedded server.'),
  TEMPORAL_REFUSED: final('Let somebody who may do it run the command in the message.'),
  SERVER_NOT_FOUND: final('Set TEMPORAL_CLI to the Temporal CLI’s path, or install it.'),
  METRICS_NOT_SERVED: final(
    'Give each worker of a machine a port of its own: settings.metricsPort, or --metrics-port.',
  ),
  EMBEDDED_FAILED: final('Look at the log named in the message.'),
  STEP_TIMED_OUT: mendable(
    'Look at the workers (is one on the transfer queue?), then run the same command again.',
  ),
  SCHEDULE_EXISTS: final('Use another name, or `hubferry schedule delete NAME` first.'),
  SCHEDULE_NOT_FOUND: final('`hubferry schedule list` shows the schedules.'),
  RUN_NOT_FOUND: final('`hubferry list` shows the runs.'),
  RUN_LOST: final('Run the same command again: it sends only what still differs.'),
  KEYS_NOT_FOUND: final('Only runs with a rule that makes keys have any, until they are fetched.'),
  KEYS_NOT_SAVED: final('Name another file with --keys-out; the keys are still in storage.'),
  REPORT_NOT_SAVED: final('Name another folder with --out; the report stays in storage.'),
  INTERRUPTED: { exit: 130, retryable: false, parks: false, hint: 'The same command starts again.' },
  INTERNAL: final('This is a bug in hubferry. Please report it.'),
} as const satisfies Record<string, ErrorInfo>;

export type ErrorCode = keyof typeof ERRORS;

/** Whether a text is one of our codes. */
export function isErrorCode(text: unknown): text is ErrorCode {
  return typeof text === 'string' && Object.hasOwn(ERRORS, text);
}

/**
 * The one error type of hubferry: a stable code, and a message that says what happened, and to which hub or record.
 * The message never holds a key, a SAS token or a part of one.
 */
export class HubferryError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;

  constructor(code: ErrorCode, message: string, hint: string = ERRORS[code].hint) {
    super(message);
    this.name = 'HubferryError';
    this.code = code;
    this.hint = hint;
  }
}
