import { en } from './en';
import { formatFor } from './format';
import { languageOf } from './language';
import { clipped, visible } from './visible';
import { zh } from './zh';

describe('formats', () => {
  const f = formatFor('en');
  const chinese = formatFor('zh-CN');

  it.each([
    [0, '0 sec', '0秒'],
    [850, '850 ms', '850毫秒'],
    [1_500, '1.5 sec', '1.5秒'],
    [59_000, '59 sec', '59秒'],
    [90_000, '1.5 min', '1.5分钟'],
    [7_200_000, '2 hr', '2小时'],
    [864_000_000, '10 days', '10天'],
  ])('%i ms is %s, %s', (ms, english, inChinese) => {
    expect(f.duration(ms)).toBe(english);
    expect(chinese.duration(ms)).toBe(inChinese);
  });

  it('a number that counting stopped at is that, or more', () => {
    expect([f.capped(9_999, 10_000), f.capped(10_000, 10_000)]).toEqual(['9,999', '10,000+']);
  });

  it('a moment is told from now, in both directions', () => {
    const nowMs = Date.UTC(2026, 0, 2);
    expect(f.relative('2026-01-01T23:57:00.000Z', nowMs)).toBe('3 minutes ago');
    expect(f.relative('2026-01-02T02:00:00.000Z', nowMs)).toBe('in 2 hours');
    expect(chinese.relative('2026-01-01T00:00:00.000Z', nowMs)).toBe('昨天');
    expect(f.relative('2026-01-02T00:00:00.100Z', nowMs)).toBe('now');
  });

  it('what is no moment is shown as it is', () => {
    expect([f.relative('soon', 0), f.dateTime('soon')]).toEqual(['soon', 'soon']);
  });
});

describe('the language', () => {
  it.each([
    [['zh-CN', 'en'], 'zh-CN'],
    [['zh'], 'zh-CN'],
    [['zh-Hant-TW'], 'zh-CN'],
    [['de-AT', 'en-GB', 'zh'], 'en'],
    [['fr'], 'en'],
    [[], 'en'],
  ])('for %j is %s', (wanted, language) => {
    expect(languageOf(wanted)).toBe(language);
  });

  it('has every text once more in Chinese, and none is empty', () => {
    const texts = (table: unknown, path = ''): string[] =>
      typeof table === 'object' && table !== null
        ? Object.entries(table).flatMap(([name, value]) => texts(value, `${path}.${name}`))
        : [table === '' ? `${path} is empty` : path];
    expect(texts(zh)).toEqual(texts(en));
    expect(texts(zh).filter((path) => path.endsWith('is empty'))).toEqual([]);
  });
});

describe('text of others', () => {
  it('shows what could not be seen, or would turn the line around', () => {
    expect(visible('a\u0000\u001b[31m\u202eb\u200b')).toBe('a⟨U+0000⟩⟨U+001B⟩[31m⟨U+202E⟩b⟨U+200B⟩');
  });

  it('keeps line ends, tabs and every script', () => {
    expect(visible('订单\r\n\tعربى 🎉é')).toBe('订单\n\tعربى 🎉é');
  });

  it('is cut between two characters', () => {
    expect(clipped('abc', 3)).toBeUndefined();
    expect(clipped('abcd', 3)).toBe('abc');
    expect(clipped('a🎉b', 2)).toBe('a');
  });
});
