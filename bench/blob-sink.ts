import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/** A blob: its blocks in order. */
type Blob = readonly Buffer[];

/**
 * The little of the blob service that import and export jobs use, in memory, without checks: it costs next to nothing,
 * so that a measurement of jobs measures the hub and not the storage.
 */
export interface BlobSink {
  /** For `inputBlobContainerUri` and `outputBlobContainerUri`. */
  readonly containerUri: string;
  /** Bytes of a blob, 0 when there is none. */
  size(name: string): number;
  /** How many lines a blob has. */
  lines(name: string): number;
  close(): Promise<void>;
}

/** Starts a sink with one container on a free port. */
export async function startBlobSink(): Promise<BlobSink> {
  const blobs = new Map<string, Blob>();
  const staged = new Map<string, Buffer>();
  const server = createServer((request, response) => {
    answer(request, response, blobs, staged).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    containerUri: `http://127.0.0.1:${port}/account/fleet?sig=none`,
    size: (name) => bytesOf(blobs.get(name) ?? []),
    lines: (name) => (blobs.get(name) ?? []).reduce((lines, block) => lines + countLines(block), 0),
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  blobs: Map<string, Blob>,
  staged: Map<string, Buffer>,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://sink');
  const name = decodeURIComponent(url.pathname.split('/').slice(3).join('/'));
  const body = await readBody(request);
  response.setHeader('ETag', '"0x1"');
  response.setHeader('Last-Modified', new Date().toUTCString());
  if (request.method === 'PUT') {
    const block = url.searchParams.get('blockid');
    if (block !== null) staged.set(`${name}/${block}`, body);
    else if (url.searchParams.get('comp') === 'blocklist') blobs.set(name, takeBlocks(name, body, staged));
    else blobs.set(name, [body]);
    response.writeHead(201).end();
    return;
  }
  const blob = blobs.get(name);
  if (blob === undefined) {
    response.writeHead(404, { 'x-ms-error-code': 'BlobNotFound' }).end();
    return;
  }
  if (request.method === 'DELETE') {
    blobs.delete(name);
    response.writeHead(202).end();
    return;
  }
  response.writeHead(200, { 'Content-Length': bytesOf(blob), 'x-ms-blob-type': 'BlockBlob' });
  if (request.method === 'GET') {
    for (const block of blob) if (!response.write(block)) await once(response, 'drain');
  }
  response.end();
}

function takeBlocks(name: string, list: Buffer, staged: Map<string, Buffer>): Blob {
  return Array.from(list.toString().matchAll(/<Latest>([^<]+)<\/Latest>/g), ([, id]) => {
    const block = staged.get(`${name}/${id}`) ?? Buffer.alloc(0);
    staged.delete(`${name}/${id}`);
    return block;
  });
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function bytesOf(blob: Blob): number {
  return blob.reduce((bytes, block) => bytes + block.length, 0);
}

function countLines(block: Buffer): number {
  let lines = 0;
  for (let at = block.indexOf(10); at !== -1; at = block.indexOf(10, at + 1)) lines++;
  return lines;
}
