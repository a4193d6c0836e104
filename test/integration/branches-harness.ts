import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../../chaos/random';
import { poolOf } from '../support/connection-pool';
import { eventually } from '../support/eventually';
import type { Recording } from './record-harness';

const PLANS = 40;
/** Plans that run at once, each on a connection of its own. */
const AT_ONCE = 5;

/** What a branch does in its transaction, in the style of that transaction. */
export interface Operations {
  /** A business row. */
  write(text: string): Promise<unknown>;
  record(text: string): Promise<unknown>;
  /** A business row and its event by a decorated method, which joins the transaction. */
  both(text: string): Promise<unknown>;
  /** Runs the function in a nested transaction. */
  nest(work: (operations: Operations) => Promise<void>): Promise<unknown>;
}

/** A way to open transactions. */
export interface TransactionStyle {
  transaction(work: (operations: Operations) => Promise<void>): Promise<unknown>;
}

/** One of several things that a transaction does at once. */
interface Branch {
  readonly text: string;
  /** Pauses between its steps, in milliseconds; -1: none at all. */
  readonly pausesMs: readonly number[];
  readonly does: 'write, record' | 'record, write' | 'both';
  readonly fails: 'never' | 'before' | 'between' | 'after';
  /** Whether who starts it goes on although it fails. */
  readonly isSwallowed: boolean;
  readonly isAwaited: boolean;
  /** Its own branches, which run in a nested transaction; undefined: it is not nested. */
  readonly inner: readonly Branch[] | undefined;
}

interface Plan {
  readonly seed: number;
  readonly branches: readonly Branch[];
}

/** Three to six branches at once, nested up to three deep, at random points apart; some fail, some of these are swallowed, some are not awaited. */
function planOf(seed: number): Plan {
  const numbers = new Random(seed);
  const next = (): number => numbers.next();
  const upTo = (count: number): number => numbers.integer(0, count - 1);
  const oneOf = <T>(values: readonly T[]): T => numbers.pick(values);
  const branch = (path: string, depth: number): Branch => {
    const isNested = depth < 3 && next() < 0.35;
    const does = oneOf(['write, record', 'record, write', 'both'] as const);
    const points =
      isNested || does === 'both' ? (['before', 'after'] as const) : (['before', 'between', 'after'] as const);
    const fails = next() < 0.25 ? oneOf<Branch['fails']>(points) : 'never';
    // Half of what is swallowed would stay, as its author has it; and a branch that nobody awaits must be one thing.
    const isSwallowed = next() < 0.4 && (isNested || fails !== 'between');
    const isAwaited = !((isNested || does === 'both') && next() < 0.15);
    return {
      text: path,
      pausesMs: Array.from({ length: 3 }, () => upTo(6) - 1),
      does,
      fails,
      isSwallowed,
      isAwaited,
      inner: isNested ? branches(path, depth + 1, 1 + upTo(3)) : undefined,
    };
  };
  const branches = (path: string, depth: number, count: number): Branch[] =>
    Array.from({ length: count }, (_, index) => branch(`${path}.${index}`, depth));
  return { seed, branches: branches(String(seed), 0, 3 + upTo(4)) };
}

const failure = (text: string): Error => new Error(`${text} fails`);

async function pause(ms: number | undefined): Promise<void> {
  if (ms !== undefined && ms >= 0) await sleep(ms);
}

async function runBranch(branch: Branch, operations: Operations, left: Promise<unknown>[]): Promise<void> {
  const { text, pausesMs, does, fails, inner } = branch;
  await pause(pausesMs[0]);
  if (inner) {
    await operations.nest(async (nested) => {
      await runBranches(inner, nested, left);
      if (fails !== 'never') throw failure(text);
    });
    return;
  }
  if (fails === 'before') throw failure(text);
  if (does === 'both') await operations.both(text);
  else {
    const steps = [(): Promise<unknown> => operations.write(text), (): Promise<unknown> => operations.record(text)];
    for (const step of does === 'write, record' ? steps : steps.reverse()) {
      await step();
      await pause(pausesMs[1]);
      if (fails === 'between') throw failure(text);
    }
  }
  await pause(pausesMs[2]);
  if (fails === 'after') throw failure(text);
}

async function runBranches(
  branches: readonly Branch[],
  operations: Operations,
  left: Promise<unknown>[],
): Promise<void> {
  const awaited: Promise<unknown>[] = [];
  for (const branch of branches) {
    const run = runBranch(branch, operations, left);
    left.push(run.catch(() => undefined));
    if (branch.isAwaited) awaited.push(branch.isSwallowed ? run.catch(() => undefined) : run);
  }
  await Promise.all(awaited);
}

/** Whether a transaction of these branches fails. */
function fail(branches: readonly Branch[]): boolean {
  return branches.some((branch) => branch.isAwaited && !branch.isSwallowed && fails(branch));
}

function fails({ fails: own, inner }: Branch): boolean {
  return own !== 'never' || (inner !== undefined && fail(inner));
}

/** What must be stored of branches whose transaction commits, apart from those that nobody awaits. */
function storedOf(branches: readonly Branch[]): readonly string[] {
  return branches
    .filter(({ isAwaited }) => isAwaited)
    .flatMap((branch) => {
      if (branch.inner) return fails(branch) ? [] : storedOf(branch.inner);
      return branch.fails === 'never' || branch.fails === 'after' ? [branch.text] : [];
    });
}

function unawaitedOf(branches: readonly Branch[]): readonly string[] {
  const all = (some: readonly Branch[]): readonly string[] =>
    some.flatMap(({ text, inner }) => (inner ? all(inner) : [text]));
  return branches.flatMap((branch) =>
    branch.isAwaited ? (branch.inner ? unawaitedOf(branch.inner) : []) : all([branch]),
  );
}

/** Runs a plan until its last branch has settled. @returns each branch that is not stored as it must be, and why */
async function runPlan(style: TransactionStyle, plan: Plan, recording: Recording): Promise<readonly string[]> {
  const left: Promise<unknown>[] = [];
  const hasFailed = await style
    .transaction((operations) => runBranches(plan.branches, operations, left))
    .then(
      () => false,
      () => true,
    );
  // Branches start others until they settle.
  for (let count = -1; count !== left.length;) {
    count = left.length;
    await Promise.all(left);
  }
  const own = (texts: readonly string[]): readonly string[] =>
    texts.filter((text) => text.startsWith(`${plan.seed}.`)).toSorted();
  const [rows, events] = [own(await recording.notes()), own(await recording.stored())];
  const wrong = [
    ...rows.filter((text) => !events.includes(text)).map((text) => `${text}: a row without its event`),
    ...events.filter((text) => !rows.includes(text)).map((text) => `${text}: an event without its row`),
    ...rows.filter((text, index) => rows[index - 1] === text).map((text) => `${text}: twice`),
  ];
  const mustFail = fail(plan.branches);
  if (mustFail && !hasFailed) wrong.push('it did not fail');
  if (hasFailed) wrong.push(...rows.map((text) => `${text}: stored although the transaction failed`));
  else {
    const expected = storedOf(plan.branches);
    const unknown = unawaitedOf(plan.branches);
    wrong.push(...expected.filter((text) => !rows.includes(text)).map((text) => `${text}: missing`));
    wrong.push(
      ...rows
        .filter((text) => !expected.includes(text) && !unknown.includes(text))
        .map((text) => `${text}: stored although it failed`),
    );
  }
  // Only what a branch that nobody awaited did may make it fail by itself.
  if (hasFailed && !mustFail && unawaitedOf(plan.branches).length === 0) wrong.push('it failed');
  return wrong;
}

/** Runs plans of a style, several at once. What is wrong names the seed, by which it can be run again. */
export async function expectPlansToAgree(recording: Recording, style: TransactionStyle): Promise<void> {
  const { dataSource } = recording.app;
  const first = Number(process.env.BRANCHES_SEED ?? Date.now() % 1_000_000);
  const seeds = Array.from({ length: PLANS }, (_, index) => first + index);
  const wrong: string[] = [];
  const run = async (): Promise<void> => {
    for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
      const found = await runPlan(style, planOf(seed), recording);
      if (found.length > 0) wrong.push(`BRANCHES_SEED=${seed}: ${found.join('; ')}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, run));
  expect(wrong).toEqual([]);
  // Nobody has left a transaction open, or kept a connection.
  await eventually(() => expect(poolOf(dataSource).idle).toBe(poolOf(dataSource).open));
  await eventually(async () => expect(await recording.database.idleTransactions()).toEqual([]));
}
