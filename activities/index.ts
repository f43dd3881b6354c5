import { backupExportActivities } from './backup-export.js';
import { byRestActivities } from './by-rest.js';
import { carryManagersActivities } from './carry-managers.js';
import { checkActivities } from './check.js';
import { cleanupActivities } from './cleanup.js';
import { configurationsActivities } from './configurations.js';
import type { Deps } from './deps.js';
import { drillActivities } from './drill.js';
import { edgeActivities } from './edge.js';
import { editActivities } from './edit.js';
import { followActivities } from './follow.js';
import { gcActivities } from './gc.js';
import { guarded } from './guard.js';
import { hubJobActivities } from './hub-job.js';
import { importActivities } from './import.js';
import { keptActivities } from './kept.js';
import { keylessActivities } from './keyless.js';
import { managersActivities } from './managers.js';
import { manifestActivities } from './manifests.js';
import { newKeysActivities } from './new-keys.js';
import { ownerActivities } from './owner.js';
import { planActivities } from './plan.js';
import { preflightActivities } from './preflight.js';
import { probeActivities } from './probe.js';
import { recheckActivities } from './recheck.js';
import { reconcileActivities } from './reconcile.js';
import { reportActivities } from './report.js';
import { retentionActivities } from './retention.js';
import { transformActivities } from './transform.js';
import { undoActivities } from './undo.js';
import { undoConfigurationsActivities } from './undo-configurations.js';

export type { Deps } from './deps.js';

/** All activities: the only place with side effects. */
export function createActivities(deps: Deps) {
  return guarded({
    ...preflightActivities(deps),
    ...checkActivities(deps),
    ...hubJobActivities(deps),
    ...backupExportActivities(deps),
    ...keylessActivities(deps),
    ...transformActivities(deps),
    ...undoActivities(deps),
    ...undoConfigurationsActivities(deps),
    ...editActivities(deps),
    ...drillActivities(deps),
    ...followActivities(deps),
    ...recheckActivities(deps),
    ...reconcileActivities(deps),
    ...planActivities(deps),
    ...keptActivities(deps),
    ...newKeysActivities(deps),
    ...importActivities(deps),
    ...byRestActivities(deps),
    ...managersActivities(deps),
    ...carryManagersActivities(deps),
    ...manifestActivities(deps),
    ...configurationsActivities(deps),
    ...edgeActivities(deps),
    ...probeActivities(deps),
    ...ownerActivities(deps),
    ...gcActivities(deps),
    ...cleanupActivities(deps),
    ...reportActivities(deps),
    ...retentionActivities(deps),
  });
}

export type Activities = ReturnType<typeof createActivities>;
