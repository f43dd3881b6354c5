// The package `ms` that the Temporal SDK depends on does not export its types under NodeNext, which would turn
// every Temporal `Duration` into `any`. This states the one type the SDK uses.
declare module 'ms' {
  type Unit = 'ms' | 's' | 'm' | 'h' | 'd' | 'w' | 'y';
  export type StringValue = `${number}` | `${number}${Unit}` | `${number} ${Unit}`;
}
