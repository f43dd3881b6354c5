/** Symmetric keys of a record of the simulator: those of numbers two apart have none in common. */
export const keys = (n: number) => ({
  type: 'sas' as const,
  primaryKey: Buffer.alloc(32, n).toString('base64'),
  secondaryKey: Buffer.alloc(32, n + 1).toString('base64'),
});
