import { catalogueOf } from './faults/catalogue';
import { type ChaosOptions, parseOptions } from './options';
import { makePlan, type Plan } from './plan';

const CATALOGUE = catalogueOf('postgres');

const options = (text: string): ChaosOptions => parseOptions(text.split(' ')) as ChaosOptions;
const summary = (plan: Plan): unknown => plan.faults.map(({ kind, at, seed }) => [kind.name, at, seed]);

describe('the plan', () => {
  it('is the same for the same seed', () => {
    expect(summary(makePlan(options('--faults 100 --seed 7')))).toEqual(
      summary(makePlan(options('--faults 100 --seed 7'))),
    );
  });

  it('is another one for another seed', () => {
    expect(summary(makePlan(options('--faults 100 --seed 7')))).not.toEqual(
      summary(makePlan(options('--faults 100 --seed 8'))),
    );
  });

  it.each(['', '--cluster'])('injects every possible kind when there are as many faults as kinds %s', (extra) => {
    const plan = makePlan(options(`--faults ${CATALOGUE.length} --seed 3 ${extra}`.trim()));
    const names = new Set(plan.faults.map(({ kind }) => kind.name));
    const left = CATALOGUE.map(({ name }) => name).filter((name) => !names.has(name));
    expect(left).toEqual(plan.impossible.map(({ name }) => name));
  });

  it('takes few faults from all families', () => {
    const families = new Set(CATALOGUE.map(({ family }) => family));
    const plan = makePlan(options(`--faults ${families.size} --seed 5`));
    expect(new Set(plan.faults.map(({ kind }) => kind.family))).toEqual(families);
  });

  it('begins every fault while the load goes on', () => {
    const { faults } = makePlan(options('--faults 50 --seed 9'));
    expect(faults.every(({ at }) => at >= 0 && at < 1)).toBe(true);
  });

  it('refuses a choice that leaves no kind of fault', () => {
    expect(() => makePlan(options('--faults 5 --only gravity'))).toThrow('No kind of fault is left');
  });

  it('says what a kind of fault needs when it is the only one wanted', () => {
    expect(() => makePlan(options('--faults 5 --only leader'))).toThrow('leader killed: needs --cluster');
  });

  it.each(['postgres', 'mariadb'] as const)('knows every kind by one name, with %s', (database) => {
    const names = catalogueOf(database).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });
});
