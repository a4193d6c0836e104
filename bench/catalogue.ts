import type { Benchmark } from './benchmark';
import { bigTableFull, bigTableShort } from './benchmarks/big-table';
import { bloat } from './benchmarks/bloat';
import { consume } from './benchmarks/consume';
import { drain } from './benchmarks/drain';
import { idle } from './benchmarks/idle';
import { latency } from './benchmarks/latency';
import { memory } from './benchmarks/memory';
import { record } from './benchmarks/record';
import { saga } from './benchmarks/saga';
import { scaleOut } from './benchmarks/scale-out';

/** In the order of an event's way. */
export const BENCHMARKS: readonly Benchmark[] = [
  record,
  drain,
  scaleOut,
  latency,
  consume,
  saga,
  bigTableShort,
  bigTableFull,
  bloat,
  memory,
  idle,
];
