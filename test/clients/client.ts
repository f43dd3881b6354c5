import type { ClientStand } from './stand.js';

/** A command to run, with what it needs in its environment. */
export interface Script {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** A client of somebody else, installed. */
export interface InstalledClient {
  /** The client and what it runs on, e.g. `azure-iot-hub 2.7.0, Python 3.11.7`. */
  readonly versions: string;
  /** True when an earlier run had installed it. */
  readonly reused: boolean;
  /** The command that runs all operations. */
  script(stand: ClientStand): Promise<Script>;
}

/** A client of somebody else. */
export interface Client {
  readonly name: string;
  /** @throws {ToolMissing} when a tool is missing; {Error} when an installation fails. */
  install(): Promise<InstalledClient>;
}
