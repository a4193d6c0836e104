import { meets } from './benchmark';
import { percentile, ratiosOf, spreadOf } from './stats';

describe('figures', () => {
  it('have a median, a minimum and a maximum', () => {
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
    expect(spreadOf([4, 1, 2, 3])).toEqual({ median: 2.5, min: 1, max: 4 });
    expect(spreadOf([7])).toEqual({ median: 7, min: 7, max: 7 });
    expect(() => spreadOf([])).toThrow('no measurements');
  });

  it('are compared turn by turn', () => {
    expect(ratiosOf([10, 30, 30], [10, 10, 20])).toEqual({ median: 1.5, min: 1, max: 3 });
  });

  it('have percentiles', () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect(percentile(values, 0.5)).toBe(51);
    expect(percentile(values, 0.99)).toBe(100);
    expect(percentile([5], 0.99)).toBe(5);
    expect(percentile([], 0.5)).toBeNaN();
  });

  it('meet a target by their ratio, or by themselves without a baseline', () => {
    const [one, two] = [spreadOf([1]), spreadOf([2])];
    expect(meets({ name: '', unit: '', ours: one, target: { atMost: 1 } })).toBe(true);
    expect(
      meets({ name: '', unit: '', ours: one, baseline: two, ratio: spreadOf([0.5]), target: { atLeast: 0.6 } }),
    ).toBe(false);
    expect(meets({ name: '', unit: '', ours: one })).toBeUndefined();
  });
});
