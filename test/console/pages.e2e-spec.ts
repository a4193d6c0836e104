import type { Browser, BrowserContextOptions } from 'playwright-core';
import { violationsOn } from './axe';
import { launchChromium, visit, type Visit } from './chromium';
import { describeInChromium } from './describe-in-chromium';
import { idOf } from './fixtures';
import { MockConsole } from './mock-console';

const PAGES: readonly (readonly [string, RegExp | string])[] = [
  ['#/now', '62'],
  ['#/events?status=dead', 'A-1002'],
  [`#/event?id=${idOf(2)}&source=order`, 'OutOfStockError'],
  [`#/event?id=${idOf(3)}&source=order`, '<script>'],
  ['#/handlings', 'ETIMEDOUT'],
  ['#/journey', 'id'],
  ['#/journey?of=A-1001', 'inventory.deducted'],
  ['#/journey?of=A-1002', 'order.cancelled'],
  ['#/journey?of=nobody-knows', ''],
  ['#/failures', 'StockService.deduct'],
  ['#/failures?side=handlings', 'OrderService.confirm'],
  ['#/consumers', 'order.audit.inventory.deducted'],
  ['#/audit', 'late at night'],
  ['#/runs', 'ada@example.com'],
];

const READERS: readonly (readonly [string, BrowserContextOptions])[] = [
  ['in English and light', { locale: 'en-GB', colorScheme: 'light' }],
  ['in Chinese and dark', { locale: 'zh-CN', colorScheme: 'dark' }],
  ['in English and dark, on a telephone', { colorScheme: 'dark', viewport: { width: 400, height: 800 } }],
];

describeInChromium('the pages of the console', () => {
  let browser: Browser;
  let mock: MockConsole;

  beforeAll(async () => {
    browser = await launchChromium();
    mock = await MockConsole.start();
    mock.answers.post('operations', { operation: 'redrive', source: 'order', ids: [idOf(2)], why: 'late at night' });
  });
  afterAll(async () => {
    await browser?.close();
    await mock?.close();
  });

  describe.each(READERS)('%s', (_, options) => {
    let visited: Visit;
    beforeAll(async () => {
      visited = await visit(browser, mock.url, options);
    });
    afterAll(() => visited?.page.context().close());

    it.each(PAGES)('%s: axe finds nothing, it fits, and its policy holds', async (hash, text) => {
      const { page, wrong } = visited;
      await page.goto(mock.url + hash);
      await page.locator('main', { hasText: text }).waitFor();
      await page.locator('main [role=status]', { hasText: /Loading|加载中/ }).waitFor({ state: 'detached' });

      expect(await violationsOn(page)).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
      expect(await page.title()).toMatch(/ · order$/);
      expect(wrong).toEqual([]);
    });
  });

  it('are in the language of the browser, and then in the one that was chosen', async () => {
    const { page } = await visit(browser, mock.url, { locale: 'zh-CN' });
    await page.getByRole('heading', { name: '需要人工处理' }).waitFor();
    expect(await page.locator('html').getAttribute('lang')).toBe('zh-CN');

    await page.getByRole('combobox', { name: '语言' }).selectOption({ label: 'English' });
    await page.getByRole('heading', { name: 'Needs a person' }).waitFor();
    await page.reload();
    await page.getByRole('heading', { name: 'Needs a person' }).waitFor();
    expect(await page.locator('html').getAttribute('lang')).toBe('en');
    await page.context().close();
  });

  it('are dark where the reader has it so', async () => {
    const backs = await Promise.all(
      (['light', 'dark'] as const).map(async (colorScheme) => {
        const { page } = await visit(browser, mock.url, { colorScheme });
        const back: string = await page.evaluate('getComputedStyle(document.body).backgroundColor');
        await page.context().close();
        return Number(/\d+/.exec(back)?.[0]);
      }),
    );
    expect(backs[0]).toBeGreaterThan(200);
    expect(backs[1]).toBeLessThan(60);
  });

  it('say when nothing needs a person', async () => {
    const quiet = await MockConsole.start();
    quiet.answers.isQuiet = true;
    quiet.answers.queues.length = 0;
    const { page } = await visit(browser, quiet.url);
    await page.getByText('Nothing needs a person now.').waitFor();
    await page.context().close();
    await quiet.close();
  });
});
