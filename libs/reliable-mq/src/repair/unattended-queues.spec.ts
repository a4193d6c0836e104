import { Logger } from '@nestjs/common';
import type { QueueState } from '../broker/transport';
import { UnattendedQueues } from './unattended-queues';

describe('UnattendedQueues', () => {
  let lines: string[];
  let answer: QueueState;
  let asked: string[];
  let queues: UnattendedQueues;

  beforeEach(() => {
    lines = [];
    const say = (line: string): void => void lines.push(line);
    Logger.overrideLogger({ log: say, warn: say, error: say });
    asked = [];
    const queueState = async (queue: string): Promise<QueueState> => {
      asked.push(queue);
      return answer;
    };
    queues = new UnattendedQueues({ queueState });
  });
  afterEach(() => {
    Logger.overrideLogger(false);
  });

  const found = (state: QueueState): Promise<void> => queues.update(new Map([['stock.x', state]]), () => true);

  it('are told once, and once more when somebody consumes them', async () => {
    for (let run = 0; run < 10; run += 1) await found({ messages: 3, consumers: 0 });
    expect(queues.names).toEqual(['stock.x']);
    expect(lines).toHaveLength(1);
    await found({ messages: 3, consumers: 1 });
    expect(queues.names).toEqual([]);
    expect(lines).toHaveLength(2);
    expect(lines[1]).toContain('is consumed again');
  });

  it('are asked about again when a run had no reason to, until they are none any more', async () => {
    await found({ messages: 3, consumers: 0 });
    answer = undefined;
    await queues.update(new Map(), () => true);
    await queues.update(new Map(), () => false);
    expect(asked).toEqual(['stock.x']);
    expect(queues.names).toEqual(['stock.x']);
    answer = 'no-queue';
    await queues.update(new Map(), () => true);
    expect(queues.names).toEqual([]);
  });

  it('are none while nothing waits in them', async () => {
    await found({ messages: 0, consumers: 0 });
    expect(queues.names).toEqual([]);
  });
});
