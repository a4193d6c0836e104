import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PEER_NAMES } from './catalogue';
import { assertPeersInstalled } from './installed';
import peersPackage from './package.json';
import lock from './package-lock.json';

describe('the packages that the library is compared with', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'peers-'));
    writeFileSync(
      join(folder, 'package.json'),
      JSON.stringify({ dependencies: { here: '1.0.0', '@some/where': '1.0.0' } }),
    );
    mkdirSync(join(folder, 'node_modules', 'here'), { recursive: true });
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  it('are asked for with the command that installs them', () => {
    expect(() => assertPeersInstalled(folder)).toThrow(
      'What the library is compared with is not installed (@some/where). Run: npm ci --prefix bench/peers',
    );
  });

  it('are not asked for when all are there', () => {
    mkdirSync(join(folder, 'node_modules', '@some', 'where'), { recursive: true });
    expect(() => assertPeersInstalled(folder)).not.toThrow();
  });

  it('are each a dependency of a package of their own, at one exact version', () => {
    const versions: Readonly<Record<string, string>> = peersPackage.dependencies;
    for (const name of PEER_NAMES) expect(versions[name]).toMatch(/^\d+\.\d+\.\d+$/);
  });

  it('need no install scripts', () => {
    const withScripts = Object.entries(lock.packages).filter(([, entry]) => 'hasInstallScript' in entry);
    expect(withScripts).toEqual([]);
  });

  it('are locked without the address of any registry', () => {
    const resolved = Object.entries(lock.packages).filter(([, entry]) => 'resolved' in entry);
    expect(resolved).toEqual([]);
  });
});
