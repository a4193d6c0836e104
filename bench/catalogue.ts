import type { Benchmark } from './benchmark';
import { bigTableFull, bigTableShort } from './benchmarks/big-table';
import { bloat, bloatHeld } from './benchmarks/bloat';
import { consume } from './benchmarks/consume';
import { drain } from './benchmarks/drain';
import { handlingStatements } from './benchmarks/handling-statements';
import { idle } from './benchmarks/idle';
import { latency } from './benchmarks/latency';
import { memory } from './benchmarks/memory';
import { peersDrain, peersLatency, peersRecord } from './benchmarks/peers';
import { record } from './benchmarks/record';
import { roundTrips } from './benchmarks/round-trips';
import { saga } from './benchmarks/saga';
import { scaleOut } from './benchmarks/scale-out';
import { way } from './benchmarks/way';
import { type BenchOptions, UsageError } from './options';

/** In the order of an event's way. */
export const BENCHMARKS: readonly Benchmark[] = [
  record,
  roundTrips,
  drain,
  scaleOut,
  latency,
  consume,
  handlingStatements,
  saga,
  bigTableShort,
  bigTableFull,
  bloat,
  bloatHeld,
  memory,
  idle,
  way,
  peersRecord,
  peersDrain,
  peersLatency,
];

/** @throws UsageError for a name that is none */
export function chosenBenchmarks({ only, full, peers, database }: BenchOptions): readonly Benchmark[] {
  const unknown = only.filter((name) => !BENCHMARKS.some((benchmark) => benchmark.name === name));
  if (unknown.length > 0) throw new UsageError(`There is no benchmark ${unknown.join(', ')}; --list shows them all.`);
  const possible = BENCHMARKS.filter(({ databases = ['postgres'] }) => databases.includes(database));
  const elsewhere = only.filter((name) => !possible.some((benchmark) => benchmark.name === name));
  if (elsewhere.length > 0)
    throw new UsageError(`On ${database} there is no benchmark ${elsewhere.join(', ')}; --list shows them all.`);
  if (only.length > 0) return possible.filter(({ name }) => only.includes(name));
  return possible.filter(({ isFull, isPeers }) => (full || !isFull) && (peers || !isPeers));
}
