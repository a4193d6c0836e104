import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { PROMISES, type Property, type Variant } from './variants';

const run = promisify(execFile);

/** More than any run needs; a run that hits it is reported as unfinished, never as a success. */
const MEMORY_MB = 1800;
const MAX_DEPTH = 100_000;
const TIMEOUT_MS = 15 * 60_000;
/** For `ONLY`: a formula is asked for by itself, or a broken assertion would hide it. */
const NO_PROMISE = 99;

export interface Answer {
  readonly found: 'holds' | 'broken' | 'unfinished';
  /** Different states that were visited. */
  readonly states: number;
  readonly seconds: number;
  /** What the counterexample breaks. */
  readonly breaks?: string;
  /** The steps that lead to the counterexample, one per line; empty when there is none. */
  readonly steps: readonly string[];
}

/** Which of the programs that are needed cannot be started. */
export async function missingPrograms(): Promise<readonly string[]> {
  const missing: string[] = [];
  for (const [program, argument] of [
    ['spin', '-V'],
    ['gcc', '--version'],
  ] as const) {
    await run(program, [argument]).catch(() => missing.push(program));
  }
  return missing;
}

/** Asks spin one question, in a directory of its own. */
export async function ask(model: string, variant: Variant): Promise<Answer> {
  const directory = await mkdtemp(join(tmpdir(), 'reliable-mq-model-'));
  const started = performance.now();
  try {
    const switches = switchesOf(variant).map((name) => `-D${name}`);
    await run('spin', [...switches, '-a', model], { cwd: directory });
    const assertions = variant.property.kind === 'promise';
    // Breadth first finds the shortest counterexample; a formula needs the depth-first search for cycles.
    const search = assertions ? ['-DSAFETY', '-DNOCLAIM', '-DBFS'] : [];
    // A counterexample is found sooner than an optimising compiler is done.
    const optimise = variant.expected === 'holds' ? '-O2' : '-O0';
    await run('gcc', [optimise, '-w', '-DCOLLAPSE', `-DMEMLIM=${MEMORY_MB}`, ...search, '-o', 'pan', 'pan.c'], {
      cwd: directory,
    });
    // -E: a removed guard may end in a deadlock before the promise breaks that it is there for.
    const options = assertions ? ['-E'] : ['-a', '-N', formulaOf(variant.property)];
    const output = await pan(directory, ['-n', `-m${MAX_DEPTH}`, ...options]);
    const found = verdict(output);
    return {
      found,
      states: Number(/([\d.e+]+) states, stored/.exec(output)?.[1] ?? 0),
      seconds: (performance.now() - started) / 1000,
      ...(found === 'broken' ? { breaks: brokenProperty(output, variant.property) } : {}),
      steps: found === 'broken' ? await replay(directory, switches, model) : [],
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function formulaOf(property: Property): string {
  return property.kind === 'formula' ? property.formula : 'known_end';
}

function switchesOf({ switches, property }: Variant): readonly string[] {
  switch (property.kind) {
    case 'everything':
      return switches;
    case 'promise':
      return [...switches, `ONLY=${PROMISES[property.promise]}`];
    case 'formula':
      return [...switches, `ONLY=${NO_PROMISE}`];
  }
}

async function pan(directory: string, options: readonly string[]): Promise<string> {
  try {
    const { stdout } = await run(join(directory, 'pan'), options, {
      cwd: directory,
      timeout: TIMEOUT_MS,
      maxBuffer: 16 * 1024 * 1024,
    });
    return stdout;
  } catch (error) {
    const { stdout } = error as { stdout?: string };
    return stdout ?? '';
  }
}

function verdict(output: string): Answer['found'] {
  const errors = /errors: (\d+)/.exec(output)?.[1];
  if (errors !== undefined && Number(errors) > 0) return 'broken';
  const complete =
    errors !== undefined && !/Search not completed|max search depth too small|out of memory/.test(output);
  return complete ? 'holds' : 'unfinished';
}

/** An assertion shows the number of its promise: `(ONLY==4)`. */
function brokenProperty(output: string, property: Property): string {
  const number = /assertion violated.*?==\d+\)\|\|\(\d+==(\d+)\)/.exec(output)?.[1];
  const promise = Object.entries(PROMISES).find(([, value]) => String(value) === number)?.[0];
  return promise ?? formulaOf(property);
}

async function replay(directory: string, switches: readonly string[], model: string): Promise<readonly string[]> {
  const trail = join(directory, `${basename(model)}.trail`);
  const { stdout } = await run('spin', [...switches, '-t', '-k', trail, model], {
    cwd: directory,
    maxBuffer: 16 * 1024 * 1024,
  }).catch((error: unknown) => ({ stdout: (error as { stdout?: string }).stdout ?? '' }));
  return stdout
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => /^(business:|process|relay|worker|broker|receipt listener|a person|everyone|<<<<<)/.test(line))
    .map((line) => (line.startsWith('<<<<<') ? '(from here on for ever)' : line));
}
