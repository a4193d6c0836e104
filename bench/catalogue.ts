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
export function chosenBenchmarks({ only, full, peers }: BenchOptions): readonly Benchmark[] {
  const unknown = only.filter((name) => !BENCHMARKS.some((benchmark) => benchmark.name === name));
  if (unknown.length > 0) throw new UsageError(`There is no benchmark ${unknown.join(', ')}; --list shows them all.`);
  if (only.length > 0) return BENCHMARKS.filter(({ name }) => only.includes(name));
  return BENCHMARKS.filter(({ isFull, isPeers }) => (full || !isFull) && (peers || !isPeers));
}
