import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import * as ts from 'typescript';

/** A folder of the compiled package, with what makes Node and TypeScript take its files for what they are. */
interface Format {
  readonly folder: string;
  readonly type: 'commonjs' | 'module';
  readonly options: ts.CompilerOptions;
}

const FORMATS: readonly Format[] = [
  {
    folder: 'dist/cjs',
    type: 'commonjs',
    options: { module: ts.ModuleKind.CommonJS, moduleResolution: ts.ModuleResolutionKind.Node10 },
  },
  {
    folder: 'dist/esm',
    type: 'module',
    options: { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler },
  },
];

/**
 * Compiles the library once as CommonJS and once as ES modules, each with its own types. The output is laid out as if it were
 * compiled beside `src`, so that its source maps lead to the `src` that is packed with it.
 *
 * @param library folder with `src` and `tsconfig.lib.json`
 * @param target folder of the package, where `dist` goes
 * @throws Error with all that the compiler found wrong
 */
export function compileLibrary(library: string, target: string): void {
  const config = ts.getParsedCommandLineOfConfigFile(join(library, 'tsconfig.lib.json'), undefined, {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: refuse,
  });
  if (!config) throw new Error(`${library} has no tsconfig.lib.json`);
  for (const { folder, type, options } of FORMATS) {
    const program = ts.createProgram(config.fileNames, {
      ...config.options,
      ...options,
      outDir: join(library, folder),
    });
    const { diagnostics } = program.emit(undefined, (file, text) =>
      write(join(target, relative(library, file)), type === 'module' && isCode(file) ? asModule(text) : text),
    );
    refuse(...config.errors, ...ts.getPreEmitDiagnostics(program), ...diagnostics);
    write(join(target, folder, 'package.json'), `${JSON.stringify({ type })}\n`);
  }
}

function isCode(file: string): boolean {
  return file.endsWith('.js') || file.endsWith('.d.ts');
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

function refuse(...diagnostics: ts.Diagnostic[]): void {
  if (diagnostics.length === 0) return;
  const host = {
    getCanonicalFileName: (name: string) => name,
    getCurrentDirectory: () => process.cwd(),
    getNewLine: () => '\n',
  };
  throw new Error(`The library does not compile:\n${ts.formatDiagnostics(diagnostics, host)}`);
}

/** A path after `from`, `import` or `import(`, in the quotes of the source (types) or of the compiler (code). */
const RELATIVE_PATH = /(?<=\b(?:from |import |import\())(["'])(\.[^"']+)\1/g;

/** What a file of CommonJS has, and an ES module calls otherwise. */
function asModule(text: string): string {
  return withWholePaths(text).replaceAll('__dirname', 'import.meta.dirname');
}

/**
 * An ES module is imported by its whole file name, which the source leaves out.
 *
 * @param text of a compiled module, or of its types
 */
export function withWholePaths(text: string): string {
  return text.replace(RELATIVE_PATH, '$1$2.js$1');
}
