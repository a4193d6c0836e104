import { duration } from '../format';
import type { OpenTables } from '../command';
import type { Finding } from './finding';

/** The server, the rights, the tables. */
export async function checkDatabase({ database }: OpenTables): Promise<readonly Finding[]> {
  const examined = await database.examine();
  const ofServer = examined.map(({ what, found, problem }): Finding => ({
    area: 'database',
    verdict: problem === undefined ? 'ok' : 'change',
    text: `${what}: ${found}${problem === undefined ? '' : `. ${problem}`}`,
  }));
  const problems = database.problems().map((text): Finding => ({ area: 'tables', verdict: 'change', text }));
  const ofTables: Finding = {
    area: 'tables',
    verdict: 'ok',
    text: 'up to date; this role sees and may change all rows',
  };
  return [...ofServer, ...(problems.length > 0 ? problems : [ofTables])];
}

/** What is unfinished, and how old. @param maxLagMs something may have been due for so long */
export async function checkWork({ operations }: OpenTables, maxLagMs: number): Promise<readonly Finding[]> {
  const { outbox, inbox } = await operations.statistics();
  const findings: Finding[] = [];
  for (const [side, { oldestOverdueMs }] of Object.entries({ outbox, inbox })) {
    const isLate = oldestOverdueMs > maxLagMs;
    findings.push({
      area: 'work',
      verdict: isLate ? 'change' : 'ok',
      text: isLate
        ? `${side}: something has been due for ${duration(oldestOverdueMs)}. Does an instance with its compensation task run, and reach the broker? \`list --overdue\` has the reasons.`
        : `${side}: nothing has been due for longer than ${duration(maxLagMs)}`,
    });
  }
  findings.push({
    area: 'work',
    verdict: outbox.needPerson > 0 ? 'change' : 'ok',
    text:
      outbox.needPerson > 0
        ? `${outbox.needPerson} dead events need a person: \`groups --need-person\`, then redrive, archive or discard them`
        : 'no dead event needs a person',
  });
  if (inbox.rejected + inbox.dead > 0)
    findings.push({
      area: 'work',
      verdict: 'look',
      text: `consumers here have given up ${inbox.dead} handlings and put ${inbox.rejected} messages aside: \`groups --inbox\``,
    });
  for (const { consumer, type, by } of inbox.paused)
    findings.push({
      area: 'work',
      verdict: 'look',
      text: `${consumer}.${type} is paused by ${by}: \`resume ${consumer} ${type}\``,
    });
  return findings;
}
