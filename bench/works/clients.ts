/** How long each of many actions took, in milliseconds. */
export type Latencies = readonly number[];

/** Clients that each do one action after the other, until so many are done. */
export async function runClients(
  clients: number,
  count: number,
  action: (number: number) => Promise<void>,
): Promise<Latencies> {
  const latencies: number[] = [];
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < count) {
      const number = next;
      next += 1;
      const from = performance.now();
      await action(number);
      latencies.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return latencies;
}
