/** The one container that runs share. It holds no secret. */
export const SHARED_CONTAINER = 'hubferry';

/** What the names of all containers that runs make begin with. */
export const RUN_CONTAINERS = 'hf-';

/** The run that made a container, or undefined where none did. */
export function runOfContainer(name: string): string | undefined {
  return /^hf-(\d{8}-\d{6}-[a-z0-9]{6})-/.exec(name)?.[1];
}

/** Whether hubferry gives this name itself. All others are containers that somebody made beforehand. */
export function isOwnContainer(name: string): boolean {
  return name === SHARED_CONTAINER || name.startsWith(RUN_CONTAINERS);
}

/** The container in which `check` tries what may be done; it is named by its time. */
export const checkContainer = (now: number): string => `${CHECK}${now.toString(36)}`;

const CHECK = 'hf-check-';

/** When a container of `check` was made, in epoch ms; undefined for another one. */
export function checkedAt(name: string): number | undefined {
  const time = Number.parseInt(name.slice(CHECK.length), 36);
  return name.startsWith(CHECK) && Number.isFinite(time) ? time : undefined;
}
