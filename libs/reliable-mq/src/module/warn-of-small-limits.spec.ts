import { warnOfSmallStatements } from './warn-of-small-limits';

const MIB = 1024 * 1024;

describe('warnOfSmallStatements', () => {
  function warnings(bytes: number | undefined, parts = { records: true, consumes: true }): unknown[][] {
    const lines: unknown[][] = [];
    warnOfSmallStatements(
      {
        name: 'default',
        database: { statementLimit: bytes && { bytes, raiseTo: (needed: number) => `RAISE TO ${needed}` } },
      } as never,
      { record: { maxPayloadBytes: MIB }, consume: { maxMessageBytes: 16 * MIB } } as never,
      parts,
      { warn: (...line: unknown[]) => lines.push(line) },
    );
    return lines;
  }

  it.each([undefined, 64 * MIB, 16 * MIB + 64 * 1024])('says nothing of a limit of %s bytes', (limit) =>
    expect(warnings(limit)).toEqual([]),
  );

  it('names the option, and the statement that mends it', () => {
    expect(warnings(16 * MIB)).toEqual([
      [
        'The database takes no statement as large as an option allows: raise its limit, or lower the option',
        {
          dataSource: 'default',
          option: 'consume.maxMessageBytes',
          neededBytes: 16 * MIB + 64 * 1024,
          limitBytes: 16 * MIB,
          statement: `RAISE TO ${16 * MIB + 64 * 1024}`,
        },
      ],
    ]);
  });

  it('counts what quotes take in a payload, and only what this application does', () => {
    const option = (parts: { records: boolean; consumes: boolean }): unknown[] =>
      warnings(2 * MIB, parts).map(([, fields]) => (fields as { option: string }).option);
    expect(option({ records: true, consumes: false })).toEqual(['record.maxPayloadBytes']);
    expect(option({ records: false, consumes: true })).toEqual(['consume.maxMessageBytes']);
    expect(option({ records: false, consumes: false })).toEqual([]);
  });
});
