import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packLibrary } from '../../tools/pack/pack-library';
import { createOwnedFolder } from '../../tools/servers/owned-folder';

/** `main.ts` needs the package alone, `observed.ts` the packages of its optional entries too. */
const SOURCES = join(__dirname, 'fresh-app');

/** Stricter than most applications, and than the workspace. */
const COMPILER_OPTIONS = {
  target: 'es2022',
  lib: ['es2023'],
  types: ['node'],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noPropertyAccessFromIndexSignature: true,
  // With the next two, a type in a decorated signature must be a class, or be imported as a type.
  isolatedModules: true,
  emitDecoratorMetadata: true,
  experimentalDecorators: true,
  outDir: 'dist',
};

/** What the application of the README installs beside the package, in the versions of the workspace: npm has them in its cache. */
const APPLICATION_PACKAGES = [
  '@nestjs/common',
  '@nestjs/core',
  '@nestjs/schedule',
  '@nestjs/typeorm',
  '@types/node',
  'class-transformer',
  'class-validator',
  'pg',
  'reflect-metadata',
  'rxjs',
  'tsx',
  'typeorm',
  'typescript',
];

/** What its optional entries are for. */
const OPTIONAL_PACKAGES = ['@nestjs/terminus', '@opentelemetry/api'];

/** How the application's own files are loaded; each is compiled in a folder of its own, on the packages of both. */
export type ApplicationType = 'commonjs' | 'module';

export interface Output {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly type?: string;
  readonly scripts?: unknown;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

/** An application of somebody who has only the package: a folder of its own, with what npm installs there. */
export class FreshApplication {
  readonly tarball: string;
  private readonly folder = createOwnedFolder();

  constructor() {
    this.tarball = packLibrary(this.path('pack'));
    const versions = APPLICATION_PACKAGES.map((name) => [name, versionOf(name)]);
    const dependencies = { ...Object.fromEntries(versions), 'nestjs-reliable-mq': `file:${this.tarball}` };
    this.write('package.json', { name: 'fresh-app', private: true, dependencies });
    for (const type of ['commonjs', 'module'] as const) {
      mkdirSync(this.path(type));
      this.write(`${type}/package.json`, { type });
      this.write(`${type}/tsconfig.json`, { compilerOptions: COMPILER_OPTIONS, include: ['main.ts'] });
      this.write(`${type}/tsconfig.observed.json`, { extends: './tsconfig.json', include: ['observed.ts'] });
      for (const file of ['main.ts', 'observed.ts']) copyFileSync(join(SOURCES, file), this.path(type, file));
    }
  }

  /** The package as it is installed. */
  get installed(): string {
    return this.path('node_modules/nestjs-reliable-mq');
  }

  path(...parts: string[]): string {
    return join(this.folder.path, ...parts);
  }

  write(file: string, content: object | string): void {
    writeFileSync(this.path(file), typeof content === 'string' ? content : JSON.stringify(content));
  }

  /** @throws Error with all that npm said when a peer does not fit */
  async install(): Promise<void> {
    await this.npmInstall();
  }

  /** Adds what the optional entries of the package are for. */
  async installOptional(): Promise<void> {
    await this.npmInstall(...OPTIONAL_PACKAGES.map((name) => `${name}@${versionOf(name)}`));
  }

  /** Compiles one of the two applications. */
  tsc(type: ApplicationType, ...options: string[]): Promise<Output> {
    return this.compile(type, options);
  }

  /** Compiles the application with the optional entries. */
  tscObserved(type: ApplicationType, ...options: string[]): Promise<Output> {
    return this.compile(`${type}/tsconfig.observed.json`, options);
  }

  /** The package's command line. */
  cli(...args: string[]): Promise<Output> {
    return this.tryRun(this.path('node_modules/.bin/nestjs-reliable-mq'), args);
  }

  remove(): void {
    this.folder.remove();
  }

  private async npmInstall(...packages: string[]): Promise<void> {
    const flags = ['--prefer-offline', '--ignore-scripts', '--strict-peer-deps', '--no-audit', '--no-fund'];
    await this.run('npm', ['install', ...flags, ...packages]);
  }

  private compile(project: string, options: readonly string[]): Promise<Output> {
    return this.tryRun(process.execPath, [this.path('node_modules/typescript/bin/tsc'), '-p', project, ...options]);
  }

  /** @throws Error with what it printed when it does not end with 0 */
  async run(program: string, args: readonly string[], env: Record<string, string> = {}): Promise<Output> {
    const result = await this.tryRun(program, args, env);
    if (result.code === 0) return result;
    throw new Error(`${program} ${args.join(' ')} ended with ${result.code}:\n${result.stdout}${result.stderr}`);
  }

  async tryRun(program: string, args: readonly string[], env: Record<string, string> = {}): Promise<Output> {
    try {
      const { stdout, stderr } = await promisify(execFile)(program, args, {
        cwd: this.folder.path,
        env: { ...process.env, ...env },
      });
      return { stdout, stderr, code: 0 };
    } catch (error) {
      if (typeof (error as Output).code !== 'number') throw error;
      const { stdout, stderr, code } = error as Output;
      return { stdout, stderr, code };
    }
  }
}

function versionOf(name: string): string {
  return readManifest(`node_modules/${name}`).version;
}

export function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
}
