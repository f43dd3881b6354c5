/** The one container that runs share. It holds no secret. */
export const SHARED_CONTAINER = 'hubferry';

/** What the names of all containers that runs make begin with. */
export const RUN_CONTAINERS = 'hf-';

/** Whether hubferry gives this name itself. All others are containers that somebody made beforehand. */
export function isOwnContainer(name: string): boolean {
  return name === SHARED_CONTAINER || name.startsWith(RUN_CONTAINERS);
}
