import { Outage } from './outage';

describe('Outage', () => {
  const said: unknown[] = [];
  const say =
    (level: string) =>
    (text: string, details?: object): void =>
      void said.push([level, text, details]);
  const log = { debug: say('debug'), log: say('log'), warn: say('warn'), error: say('error') };

  beforeEach(() => {
    jest.useFakeTimers();
    said.length = 0;
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('is said when it begins and when it is over, however often it is met', () => {
    const outage = new Outage(log, { begins: 'It is away', ends: 'It is back' });
    outage.over();
    expect(said).toEqual([]);
    for (let times = 0; times < 100; times += 1) outage.met({ reason: 'refused' });
    jest.advanceTimersByTime(61_000);
    outage.over({ name: 'default' });
    outage.over();
    expect(said).toEqual([
      ['warn', 'It is away', { reason: 'refused' }],
      ['log', 'It is back', { name: 'default', seconds: 61, times: 100 }],
    ]);
  });

  it('is said again when it comes again', () => {
    const outage = new Outage(log, { begins: 'It is away', ends: 'It is back' });
    outage.met({});
    outage.over();
    outage.met({ reason: 'again' });
    expect(outage.lasts).toBe(true);
    expect(said.at(-1)).toEqual(['warn', 'It is away', { reason: 'again' }]);
  });

  it('is one when it comes and goes', () => {
    const outage = new Outage(log, { begins: 'It is away', ends: 'It is back' });
    for (let times = 0; times < 10; times += 1) {
      outage.met({});
      jest.advanceTimersByTime(5000);
      outage.overIfQuiet(10_000);
    }
    expect(said).toHaveLength(1);
    jest.advanceTimersByTime(5001);
    outage.overIfQuiet(10_000);
    expect(said).toHaveLength(2);
  });
});
