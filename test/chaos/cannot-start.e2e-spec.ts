import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runChaos } from './run-chaos';

const WITHIN_MS = 60_000;

/** Exit status 2, nothing on stdout, no stack (whoever reads it is not the harness's author), and nothing left behind. */
async function refused(...args: string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'cannot-start-'));
  try {
    const { code, stdout, stderr } = await runChaos([...args, '--json'], WITHIN_MS, { TMPDIR: folder });
    const left = readdirSync(folder).filter((name) => name.includes('reliable-mq')); // beside the compiler's cache
    expect({ code, stdout, left }).toEqual({ code: 2, stdout: '', left: [] });
    expect(stderr).not.toMatch(/^ +at /m);
    expect(stderr).not.toContain('starting PostgreSQL');
    return stderr;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function listening(host: string): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer();
  await once(server.listen(0, host), 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

describe('the fault harness, before anything starts', () => {
  it('refuses options that cannot be', async () => {
    const said = await refused('--instances', '0', '--faults', 'many');
    expect(said).toContain('--instances needs a whole number from 1 to 8, got "0".');
    expect(said).toContain('--faults needs a whole number from 0 to 10000, got "many".');
  });

  it('refuses a report that cannot be written', async () => {
    await expect(refused('--report', '/no/such/folder/report.md')).resolves.toContain(
      '--report /no/such/folder/report.md: there is no folder /no/such/folder.',
    );
  });

  it.each(['127.0.0.1', '0.0.0.0'])('refuses ports of which one is taken on %s', async (host) => {
    const { server, port } = await listening(host);
    try {
      const said = await refused('--base-port', String(port - 1));
      expect(said).toMatch(new RegExp(`Something listens already on port .*\\b${port}\\b`));
      expect(said).toContain(`the apps would listen on ${port - 1} to ${port + 2}: choose another --base-port`);
    } finally {
      await once(server.close(), 'close');
    }
  });
});
