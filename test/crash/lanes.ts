/** How many runs are disturbed side by side: most of a case is waiting until somebody is taken for dead. */
export const LANES = 4;
