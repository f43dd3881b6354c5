/** Whether what was measured is more than it was to be, in the same unit; null: nothing was declared. */
export const isMissed = (measured: number, objective: number | null): boolean =>
  objective !== null && measured > objective;
