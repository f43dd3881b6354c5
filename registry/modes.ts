/**
 * What the service does with one line of an import job (facts §3). Names as the service writes them; a line without
 * one means `createOrUpdate`.
 */
export type ImportMode =
  | 'create'
  | 'createOrUpdate'
  | 'createOrUpdateIfMatchETag'
  | 'update'
  | 'updateIfMatchETag'
  | 'delete'
  | 'deleteIfMatchETag'
  | 'updateTwin'
  | 'updateTwinIfMatchETag';

/** Whether a line of this mode says where a device hangs: deletes and twin writes leave the identity's parent alone. */
export function writesIdentity(mode: ImportMode): boolean {
  return mode.startsWith('create') || mode === 'update' || mode === 'updateIfMatchETag';
}
