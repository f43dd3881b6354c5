/** What a warning of a run means, and what somebody can do about it. `docs/errors.md` has the same words. */
export interface WarningInfo {
  readonly meaning: string;
  readonly next: string;
}

const because = (meaning: string, next = 'nothing'): WarningInfo => ({ meaning, next });

/** Every code under which a run warns. Code in backticks, as in the page. */
export const WARNINGS = {
  SYSTEM_MODULES_DIFFERENT: because(
    'system modules (`$edgeAgent`, `$edgeHub` and modules of a deployment) that are not as in the source in the end, by name',
    'run the same command again; what still differs then is under `rejected`, with its reason',
  ),
  SYSTEM_MODULE_TAGS: because(
    '`$edgeAgent` and `$edgeHub` with tags, which no call of the service can write',
    'keep what these tags say somewhere else, such as in the tags of the device',
  ),
  MANIFEST_NOT_RESTORED: because(
    'disabled edge devices whose modules the hub lets nobody touch: their manifests were not restored. A device is never enabled for that',
    'enable them, and run the same command again',
  ),
  CONFIGURATIONS_UNKNOWN: because(
    'a hub does not offer configurations, or the policy may not read them, or the snapshot is of a release that did not store them. None are moved; the records are',
    'see that hub and policy allow to read them, and run the same command again',
  ),
  CONFIGURATIONS_NOT_SENT: because(
    'configurations that were to be created or changed and were not touched, since the records are not verified, or since the target does not tell its own',
    'mend what keeps the records from being verified, and run the same command again',
  ),
  CONFIGURATIONS_MISSING: because(
    'configurations that are not on the target in the end, by name',
    'run the same command again; `verify` only compares',
  ),
  CONFIGURATIONS_DIFFERENT: because(
    'configurations that are on the target, but not as in the source, by name',
    '`--existing overwrite` makes them equal',
  ),
  CONFIGURATION_ORDER_DIFFERS: because(
    'pairs of configurations with the same priority that may write the same value, and of which on the target the other one wins, since it is newer there',
    'give them other priorities if that matters',
  ),
  TARGET_CONFIGURATIONS_ACT: because(
    'configurations that only the target has, with a target condition: they may write to what arrives',
    'look whether they should; a condition can be narrowed before the migration',
  ),
  MANAGED_BY_CONFIGURATION: because(
    'records that differ by what a configuration of the target wrote to them, and by nothing else: they count as equal',
  ),
  STALE_PARENT: because(
    'the source names a parent that does not exist there any more; the record arrives without a parent',
    'give it a parent on the target where it needs one',
  ),
  DETACHED: because(
    'devices that arrive without a parent, since rules leave out their parent, under `--orphans detach`',
    'give them a parent on the target where they need one',
  ),
  EXCLUDED_WITH_PARENT: because(
    'devices that are left out since rules leave out an edge device above them, under `--orphans exclude`; their modules are not counted',
    'where they were meant to arrive, `--orphans detach`',
  ),
  KEYS_EXCLUDED: because(
    'the snapshot is without the keys of so many records',
    '`migrate` from it needs `--keys regenerate`, and their devices have to be given the new keys before they can connect',
  ),
  AUTHENTICATION_UNKNOWN: because(
    'records of a snapshot without keys of which the hub did not tell how they prove who they are: deleted ones, and under SAS modules of disabled devices that the query does not show. `migrate` refuses them, `verify` compares all else of them',
    'take a snapshot with keys where they matter',
  ),
  KEYS_NOT_COMPARED: because(
    'records whose keys were not compared, since the snapshot was taken without keys',
    'nothing; to compare keys takes a snapshot with keys',
  ),
  NEW_KEYS: because(
    'records that get new symmetric keys',
    'give their devices the new keys: before, they cannot connect',
  ),
  CONNECTION_STRINGS_CHANGE: because(
    'of a plan: devices that it creates. They do not know the new hub',
    'tell them its name, in their connection string or by their provisioning',
  ),
  CERTIFICATE_AUTHORITIES: because(
    'of a plan: records that it creates and that are authenticated by a certificate authority',
    'install and verify the authority on the new hub: before, they cannot connect',
  ),
  REPORTED_LEFT_BEHIND: because(
    'of a plan: records that it creates. What a device reported of itself is not moved, since only the device can write it',
    'nothing; a device reports anew when it connects',
  ),
  OTHER_WRITERS: because(
    'of a plan: import jobs that ran on the target when the run began, by id. Somebody else writes to it',
    'find out who, and let only one write at a time',
  ),
  SOURCE_CHANGED: because(
    'what was created, deleted or changed on the source after the run had exported it, under `--recheck-source`. It was compared with nothing',
    'run the same command again',
  ),
  SOURCE_NOT_RECHECKED: because(
    'the source could not be exported again for `--recheck-source`, and why. The verdict stands',
    'where it matters, `verify` with `--recheck-source`',
  ),
  TARGET_DIFFERS: because(
    'how many records of the target differ, when that ends the run',
    '`--existing overwrite` makes them equal, `--existing skip` leaves them as they are',
  ),
  JOB_ADOPTED: because(
    'the reply to a create was lost; the job was found in the hub’s list and proved to be ours',
  ),
  EXPORT_REPEATED: because('an export job did not end well and was answered by a fresh one'),
  STATISTICS_LAG: because(
    'two exports in a row held fewer devices than the hub counts. The hub’s count lags behind; the second export is taken as whole',
    'nothing; where devices were created shortly before, run it again later',
  ),
  SENDING_STOPPED: because(
    'an import job was lost; its lines are uncertain until the next look at the target',
    'nothing; if the verdict is not `verified`, run the same command again',
  ),
  CONTAINERS_LEFT: because(
    'the run ended, but its containers could not be deleted',
    '`hubferry gc` removes them: they hold keys',
  ),
  OWNER_TAKEN_OVER: because(
    'a run of the same Temporal server that was terminated or lost still held the target; this one took its place',
    'nothing; `hubferry gc` shows what else that run left behind',
  ),
  TARGET_NOT_FREED: because(
    'the run ended, but other Temporal servers still take its target for held',
    '`hubferry gc` frees it',
  ),
  RECORDS_MISSING: because(
    'records that are not on the target in the end, by name',
    'correct what `rejected` names, and run the same command again',
  ),
  RECORDS_DIFFERENT: because(
    'records that are on the target, but not as in the source, by name',
    '`--existing overwrite` makes them equal',
  ),
  TWINS_MERGED: because(
    'twins that the hub’s import merged into what was there instead of replacing it, and that are more than `maxTwinCalls` allows to be put right one by one. They count as different',
    'raise `maxTwinCalls`, and run the same command again',
  ),
  REPAIR_ROUND: because(
    'records were missing, different or still there after an import, and were sent again',
  ),
  MANAGED_BY_UNREADABLE: because(
    'modules of which a hub does not tell, or did not take, who manages them, such as those of disabled devices: modules that were updated, since an import may have cleared it, and under `--managed-by` all',
    'look at `managedBy` of those modules on the target, where you use it',
  ),
  MANAGED_BY_KEPT: because(
    'modules that somebody else manages on the target than in the source, which `--managed-by` changes only under `--existing overwrite`',
    '`--existing overwrite` where the source is right',
  ),
  CHANGED_SINCE_RUN: because(
    'records and configurations that `rollback` left alone, by name: they are not as the run left them, or others have put modules or children below them since',
    'decide record by record; `edit` changes and deletes single ones',
  ),
  SOURCE_STILL_ENABLED: because(
    'the source was to be disabled for the cut-over, and not all of it is: the run of `edit` that it names says what',
    'see that run; somebody else writes to the source',
  ),
  SOURCE_STILL_DISABLED: because(
    'the source was to be enabled again, and not all of it is: the run of `rollback` that it names says what',
    'see that run, and enable the rest by `edit`',
  ),
  NOT_CLEANED: because(
    "what is on a drill's scratch hub after its clean-up: somebody else put it there meanwhile",
    'look what it is, and remove it before the next drill',
  ),
  NOT_UNDONE: because(
    'what `rollback` does not undo: system modules of edge devices that the run wrote, or that went with a device it deleted; and configurations that the hub did not let it make as they were',
    'put them back by hand; the snapshot from before the run has them',
  ),
  TARGET_NEARLY_FULL: because(
    'records on the target when all has arrived, where that is more than nine tenths of what it takes',
    'plan for a second hub, or for another limit, before it is full',
  ),
  CHANGED_BY_OTHERS: because(
    'records of the plan that somebody else changed or deleted after it was made, by name; their changes were left alone',
    'find out who writes to the target, and run the same command again',
  ),
  NOT_DELETED: because(
    'records that were to be deleted and are still there, by name',
    'run the same command again',
  ),
  DELETED_BLOBS_KEPT: because(
    'of `check`: the storage account keeps blobs that were deleted or replaced for so many days (soft delete). What hubferry deletes or seals can be restored for so long: device keys of jobs among it',
    'switch soft delete for blobs off on this account, or give hubferry an account of its own; `docs/secrets.md` says how',
  ),
  DELETED_CONTAINERS_KEPT: because(
    'of `check`: the storage account keeps deleted containers for so many days (soft delete for containers): those of jobs, with device keys, among them',
    'switch soft delete for containers off on this account, or give hubferry an account of its own; `docs/secrets.md` says how',
  ),
  VERSIONS_KEPT: because(
    'of `check`: the storage account keeps earlier versions of blobs, also of deleted ones, until somebody deletes them: device keys of jobs among them',
    'switch versioning off on this account, or let a lifecycle rule delete earlier versions; `docs/secrets.md` says how',
  ),
  CONTAINER_PUBLIC: because(
    'of `check`: anybody may read a container that was made beforehand, and the device keys in it',
    'set its public access to private at once, and regenerate keys that were in it',
  ),
} as const satisfies Record<string, WarningInfo>;

export type WarningCode = keyof typeof WARNINGS;

/** What is known of a warning; undefined for a code of another release. */
export function warningInfo(code: string): WarningInfo | undefined {
  return Object.hasOwn(WARNINGS, code) ? WARNINGS[code as keyof typeof WARNINGS] : undefined;
}
