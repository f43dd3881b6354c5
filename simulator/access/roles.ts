import { type DataAction, dataActions } from './rights.js';

/** The built-in roles of Microsoft Entra ID for the data of hubs, and what each allows (§1.5). */
export const roleActions = {
  'IoT Hub Data Contributor': dataActions,
  'IoT Hub Data Reader': dataActions.filter((action) => action.endsWith('/read')),
  'IoT Hub Registry Contributor': dataActions.filter((action) => action.startsWith('devices/')),
  'IoT Hub Twin Contributor': dataActions.filter((action) => action.startsWith('twins/')),
} as const satisfies Record<string, readonly DataAction[]>;

export type RoleName = keyof typeof roleActions;

export function isRoleName(name: string): name is RoleName {
  return Object.hasOwn(roleActions, name);
}

export function isDataAction(name: string): name is DataAction {
  return dataActions.some((action) => action === name);
}
