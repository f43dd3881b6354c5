import {
  type Authentication,
  authenticationJson,
  identityEtag,
  isModule,
  type StoredRecord,
  twinEtag,
} from '../records/records.js';
import type { HubSettings } from '../settings.js';

/** First line of an export without keys. That there is one is known, its wording is not (§2.1). */
export const excludedKeysWarning =
  'WARNING: Keys were excluded from this export. Devices imported from this file get newly generated keys.';

/**
 * One line of devices.txt without its end, attributes in the order in which a hub emits them (§2.1). Sections of the
 * twin are copied as text, never parsed.
 */
export function exportLine(
  record: StoredRecord,
  excludeKeys: boolean,
  settings: Readonly<HubSettings>,
): string {
  const { twin } = record;
  const module = isModule(record);
  let line = `{"id":${JSON.stringify(record.deviceId)}`;
  if (module) line += `,"moduleId":${JSON.stringify(record.moduleId)}`;
  line += `,"eTag":"${identityEtag(record.etag)}"`;
  line += `,"status":"${module || record.enabled ? 'enabled' : 'disabled'}"`;
  if (!module && record.statusReason !== undefined)
    line += `,"statusReason":${JSON.stringify(record.statusReason)}`;
  line += `,"authentication":${authenticationText(record.auth, excludeKeys, settings)}`;
  line += `,"twinETag":"${twinEtag(twin.version)}","tags":${twin.tags}`;
  line += `,"properties":{"desired":${twin.desired},"reported":${settings.exportReported ? twin.reported : '{}'}}`;
  line += `,"capabilities":{"iotEdge":${!module && record.iotEdge}}`;
  if (!module && record.deviceScope !== undefined) {
    line += `,"deviceScope":${JSON.stringify(record.deviceScope)}`;
    if (record.iotEdge && record.parentScopes.length > 0 && settings.exportParentScopes) {
      line += `,"parentScopes":${JSON.stringify(record.parentScopes)}`;
    }
  }
  return `${line}}`;
}

/** Without keys: nothing at all, or all but the keys (§2.1). */
function authenticationText(
  auth: Authentication,
  excludeKeys: boolean,
  { exportExcludedKeys }: Readonly<HubSettings>,
): string {
  const whole = authenticationJson(auth);
  if (!excludeKeys) return JSON.stringify(whole);
  if (exportExcludedKeys === 'noAuthentication') return 'null';
  return JSON.stringify({ ...whole, symmetricKey: { primaryKey: null, secondaryKey: null } });
}
