/**
 * What the service does with one line of an import job (facts §3). Names as the service writes them; a line without
 * one means `createOrUpdate`.
 */
export const IMPORT_MODES = [
  'create',
  'createOrUpdate',
  'createOrUpdateIfMatchETag',
  'update',
  'updateIfMatchETag',
  'delete',
  'deleteIfMatchETag',
  'updateTwin',
  'updateTwinIfMatchETag',
] as const;

export type ImportMode = (typeof IMPORT_MODES)[number];

/** Whether a line of this mode writes tags and desired properties, and nothing else. */
export const isTwinMode = (mode: ImportMode): boolean => mode.startsWith('updateTwin');

/** Whether a line of this mode says where a device hangs: deletes and twin writes leave the identity's parent alone. */
export function writesIdentity(mode: ImportMode): boolean {
  return mode.startsWith('create') || mode === 'update' || mode === 'updateIfMatchETag';
}
