import { readFileSync } from 'node:fs';
import { connect, type TLSSocket } from 'node:tls';
import type { Simulator } from '../../simulator/index.js';

/** A reply as it came over the wire. */
export interface RawAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

export interface RawRequest {
  /** Sent one after the other, each as a packet of its own. */
  readonly packets: readonly (string | Buffer)[];
  /** Close the sending half afterwards. */
  readonly end?: boolean;
  /** The request was HEAD: the reply has no body, whatever its length says. */
  readonly head?: boolean;
}

/** Milliseconds after which silence counts as no answer. */
const patience = 5_000;

/** A TLS connection for bytes of any kind. */
export class RawConnection {
  readonly #socket: TLSSocket;
  readonly #ready: Promise<unknown>;
  #received = Buffer.alloc(0);
  #look: () => void = () => undefined;

  /** @param serverName in the TLS handshake. */
  constructor(ca: string | Buffer, port: number, serverName = 'a.localhost') {
    this.#socket = connect({ host: '127.0.0.1', port, servername: serverName, ca });
    this.#socket.setNoDelay(true);
    this.#ready = new Promise((resolve) => {
      for (const event of ['secureConnect', 'close']) this.#socket.once(event, resolve);
    });
    this.#socket.on('error', () => undefined);
    this.#socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#look();
    });
    this.#socket.on('close', () => this.#look());
  }

  /** False once either side has closed its half. */
  get open(): boolean {
    return this.#socket.readyState === 'open' && !this.#socket.destroyed;
  }

  /**
   * Sends bytes and reads one reply.
   * @returns undefined when the connection ended, or stayed silent, without a whole reply.
   */
  async ask({ packets, end, head = false }: RawRequest): Promise<RawAnswer | undefined> {
    await this.#ready;
    for (const packet of packets) this.#socket.write(packet);
    if (end === true) this.#socket.end();
    return new Promise((resolve) => {
      const finish = (answer: RawAnswer | undefined): void => {
        clearTimeout(timer);
        this.#look = () => undefined;
        resolve(answer);
      };
      const timer = setTimeout(() => {
        this.close();
        finish(undefined);
      }, patience);
      this.#look = () => {
        const found = parse(this.#received, head);
        if (found !== undefined) this.#received = this.#received.subarray(found.bytes);
        if (found !== undefined || this.#socket.destroyed) finish(found?.answer);
      };
      this.#look();
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

/**
 * Sends bytes on a connection of their own.
 * @param port default: that of all hubs.
 */
export async function sendRaw(
  sim: Simulator,
  request: RawRequest,
  port = sim.port,
): Promise<RawAnswer | undefined> {
  const serverName = port === sim.port ? 'a.localhost' : 'localhost';
  const connection = new RawConnection(readFileSync(sim.caFile), port, serverName);
  const answer = await connection.ask(request);
  connection.close();
  return answer;
}

interface Found {
  readonly answer: RawAnswer;
  /** How long the reply was, with those before it that were not final. */
  readonly bytes: number;
}

/** The first final reply in what was received; undefined while it is not complete. */
function parse(received: Buffer, head: boolean): Found | undefined {
  const end = received.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const body = received.subarray(end + 4);
  const [first = '', ...lines] = received.toString('latin1', 0, end).split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1]);
  if (status === 100) {
    const next = parse(body, head);
    return next === undefined ? undefined : { ...next, bytes: next.bytes + end + 4 };
  }
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const length = head || status === 204 ? 0 : Number(headers['content-length'] ?? Number.NaN);
  if (Number.isNaN(length)) throw new Error(`a reply without Content-Length: ${first}`);
  if (body.length < length) return undefined;
  const answer = { status, headers, text: body.subarray(0, length).toString('utf8') };
  return { answer, bytes: end + 4 + length };
}
