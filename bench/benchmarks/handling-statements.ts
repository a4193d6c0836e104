import { type Benchmark, compare, inTurns } from '../benchmark';
import { libraryTables } from '../seed';
import type { WorkResult } from '../work';
import { HAND_INBOX } from '../works/hand-inbox';
import type { HandlingStatementsConfig } from '../works/handling-statements';
import { STOCK } from '../works/stock';

const MESSAGES = 20_000;
const WARM_UP = 2_000;
const CLIENTS = 20;

type Way = Pick<HandlingStatementsConfig, 'hasLibraryRow' | 'isUnprepared'>;

export const handlingStatements: Benchmark = {
  name: 'handling-statements',
  isFull: true,
  work: `what PostgreSQL spends on ${MESSAGES.toLocaleString('en')} times the statements of a handled message, with the library's inbox row, with an UPDATE that is not prepared, with both`,
  baseline: 'inbox row with an id alone, prepared UPDATE',
  run: async (bench) => {
    const { lab } = bench;
    const measure = async (way: Way): Promise<WorkResult> => {
      const name = lab.name();
      const databaseUrl = await lab.database(name, [...libraryTables(), HAND_INBOX, ...STOCK]);
      await lab.settle();
      const result = await lab.run('handling-statements', {
        databaseUrl,
        clients: CLIENTS,
        count: MESSAGES,
        warmUp: WARM_UP,
        ...way,
      } satisfies HandlingStatementsConfig);
      await lab.dropDatabase(name);
      return result;
    };
    const { hand, row, unprepared, both } = await inTurns(bench, {
      hand: () => measure({}),
      row: () => measure({ hasLibraryRow: true }),
      unprepared: () => measure({ isUnprepared: true }),
      both: () => measure({ hasLibraryRow: true, isUnprepared: true }),
    });
    const figure = (name: string, ours: readonly WorkResult[]): ReturnType<typeof compare> =>
      compare(`handling-statements, ${name}`, 'µs of PostgreSQL', ours, hand, postgresMicroseconds);
    return {
      figures: [
        figure("the library's inbox row", row),
        figure('UPDATE not prepared', unprepared),
        figure('both', both),
      ],
      failures: [],
      notes: [],
    };
  },
};

/** @throws Error where the system does not tell what other processes use */
function postgresMicroseconds({ serversCpuMs, count }: WorkResult): number {
  if (!serversCpuMs) throw new Error('Needs Linux: the processor time of the server is read from /proc.');
  return (serversCpuMs.database / count) * 1_000;
}
