import type { MemoryVerdict } from './run-memory';
import type { Verdict } from './verdict';

/** The verdict as Markdown: what was injected, how often, and what it cost. */
export function reportOf(verdict: Verdict): string {
  const {
    orders,
    accepted,
    refused,
    unknown,
    committedWithoutAnswer,
    confirmed,
    failed,
    compensated,
    causes,
    violations,
    seed,
    cluster,
    instances,
  } = verdict;
  const count = Object.values(verdict.faults).reduce((sum, number) => sum + number, 0);
  const rows = [...verdict.costs]
    .sort((a, b) => a.family.localeCompare(b.family) || a.name.localeCompare(b.name))
    .map(
      (cost) =>
        `| ${cost.family} | ${cost.name} | ${cost.injected} | ${cost.maxSecondsToQuiet} s | ${cost.duplicates} | ${cost.redeliveries} |`,
    );
  return [
    `Seed ${seed}, ${instances} instances of each app, ${cluster ? 'three RabbitMQ nodes' : 'one RabbitMQ node'}, ${verdict.servers.join(', ')}.`,
    '',
    `${orders} requests: ${accepted} accepted, ${refused} refused, ${unknown} without an answer (of which ${committedWithoutAnswer} had committed). ` +
      `${confirmed} orders confirmed, ${failed} failed: ${causes.failed.scarceStock} for lack of stock, ` +
      `${causes.failed.toldToFail} because their handlers were told to fail, ${causes.failed.faults} because of the faults. ` +
      `${compensated} events compensated: ${causes.compensated.toldToFail} whose handlers were told to fail, ` +
      `${causes.compensated.faults} because of the faults. ${verdict.parked} messages parked. ` +
      `${count} faults in ${Math.round(verdict.seconds)} s; quiet ${verdict.secondsToQuiet} s after the last. **${violations.length} violations.**`,
    '',
    '| family | fault | injected | to quiet, at most | duplicates absorbed | redeliveries |',
    '|---|---|---:|---:|---:|---:|',
    ...rows,
    '',
    ...verdict.impossible.map(({ name, why }) => `Not injected: ${name} (${why}).`),
    ...Object.entries(verdict.missed).map(([name, number]) => `Planned and missed ${number} times: ${name}.`),
    '',
  ].join('\n');
}

export function memoryReportOf(verdict: MemoryVerdict): string {
  const { rate, outageSeconds, accepted, rssMb, latencyMs, backlog, secondsToDrain, violations } = verdict;
  return [
    `${rate} orders/s, the broker gone for ${outageSeconds} s, ${accepted} orders accepted. **${violations.length} violations.**`,
    '',
    '| | with the broker | without it |',
    '|---|---:|---:|',
    `| resident memory of the order service | ${rssMb.before} MB | ${rssMb.peak} MB at most |`,
    `| POST /orders, median | ${latencyMs.before.median} ms | ${latencyMs.during.median} ms |`,
    `| POST /orders, 95 % | ${latencyMs.before.p95} ms | ${latencyMs.during.p95} ms |`,
    '',
    `Backlog of ${backlog} events, gone ${secondsToDrain ?? 'not'} s after the broker's start.`,
    ...violations.map((violation) => `Violation: ${violation}`),
    '',
  ].join('\n');
}
