import { createServer } from 'node:net';

/**
 * Below the ports that the kernel gives to outgoing connections (from 32768 on Linux, 49152 on macOS): a server that is down
 * for a moment in a test must find its port still free when it comes back.
 */
const LOWEST_PORT = 20_000;
const HIGHEST_PORT = 31_999;

const handedOut = new Set<number>();

/** Whether a server could listen on 127.0.0.1:port now. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * A TCP port on 127.0.0.1 that nothing listens on, and that this process has not been given before. Another process may
 * take it in between: whoever starts a server on it tries again with another one.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 1_000; attempt += 1) {
    const port = LOWEST_PORT + Math.floor(Math.random() * (HIGHEST_PORT - LOWEST_PORT + 1));
    if (handedOut.has(port)) continue;
    if (await isFree(port)) {
      handedOut.add(port);
      return port;
    }
  }
  throw new Error(`No free TCP port on 127.0.0.1 between ${LOWEST_PORT} and ${HIGHEST_PORT}.`);
}
