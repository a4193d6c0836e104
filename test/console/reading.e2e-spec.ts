import type { Browser, Page } from 'playwright-core';
import { eventually } from '../support/eventually';
import { launchChromium, visit } from './chromium';
import { describeInChromium } from './describe-in-chromium';
import { HOSTILE, idOf } from './fixtures';
import { MockConsole } from './mock-console';

describeInChromium('reading in the console', () => {
  let browser: Browser;
  let mock: MockConsole;
  let page: Page;
  let wrong: string[];

  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    mock = await MockConsole.start();
    ({ page, wrong } = await visit(browser, mock.url));
    await page.getByRole('heading', { name: 'Now' }).waitFor();
  });
  afterEach(async () => {
    await page.context().close();
    await mock.close();
    expect(wrong).toEqual([]);
  });

  const focused = (): Promise<string> => page.evaluate('document.activeElement.outerHTML.slice(0, 300)');

  it('an order’s number leads to its journey, by keyboard alone', async () => {
    await page.keyboard.press('Tab');
    expect(await focused()).toContain('Skip to the content');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await page.keyboard.type(' A-1001 ');
    await page.keyboard.press('Enter');

    await page.getByRole('heading', { name: /^inventory\.deducted/ }).waitFor();
    expect(new URL(page.url()).hash).toBe('#/journey?of=A-1001');
    await eventually(async () => (await focused()).startsWith('<h1'));
    const steps = await page.getByRole('table', { name: 'Steps of order.created' }).getByRole('row').allTextContents();
    expect(
      steps.map(
        (text) =>
          /(recorded|publisher’s attempt 1 failed|published|received|attempt \d failed|reported (?:retrying|handled)|ended \w+)/.exec(
            text,
          )?.[0],
      ),
    ).toEqual([
      undefined,
      'recorded',
      'publisher’s attempt 1 failed',
      'published',
      'received',
      'attempt 1 failed',
      'reported retrying',
      'attempt 2 failed',
      'reported handled',
      'ended consumed',
      'ended handled',
    ]);
    await page.getByText('caused by order.created').waitFor();
  });

  it('the skip link leads to the content', async () => {
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    expect(await focused()).toMatch(/^<h1/);
    expect(new URL(page.url()).hash).toBe('');
  });

  it('a dialog holds the focus, closes by Escape, and gives the focus back', async () => {
    await page.goto(`${mock.url}#/event?id=${idOf(2)}&source=order`);
    const opener = page.getByRole('button', { name: 'Archive …' });
    await opener.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog', { name: 'Archive' }).waitFor();
    for (let press = 0; press < 12; press += 1) {
      await page.keyboard.press('Tab');
      // At its end the browser's own controls have their turn, then the body.
      expect(
        await page.evaluate(
          'document.activeElement === document.body || document.activeElement.closest("dialog") !== null',
        ),
      ).toBe(true);
    }
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(await focused()).toContain('Archive …');
    expect(mock.posted('operations')).toHaveLength(1);
  });

  it('filters stand in the URL, which can be shared', async () => {
    await page.goto(`${mock.url}#/events`);
    await page.getByLabel('Status').selectOption('dead');
    await page.getByLabel('Key', { exact: true }).fill('A-1002');
    await page.getByLabel('Needs a person').check();
    await page.getByRole('button', { name: 'Apply' }).click();
    await eventually(() => new URL(page.url()).hash === '#/events?key=A-1002&needPerson=true&status=dead');
    await page.getByText('Nothing here.').waitFor();

    const other = await visit(browser, page.url().replace('&needPerson=true', ''));
    await other.page.getByRole('link', { name: idOf(2) }).waitFor();
    expect(await other.page.getByLabel('Key', { exact: true }).inputValue()).toBe('A-1002');
    expect(await other.page.getByLabel('Status').inputValue()).toBe('dead');
    await other.page.context().close();

    await page.getByRole('button', { name: 'Clear' }).click();
    await eventually(() => new URL(page.url()).hash === '#/events');
    expect(mock.asked.filter(({ path }) => path === 'events').map(({ query }) => query)).toContainEqual({
      source: 'order',
      status: 'dead',
      key: 'A-1002',
      needPerson: 'true',
    });
  });

  it('an id in the filter leads to the event', async () => {
    await page.goto(`${mock.url}#/events`);
    await page.getByLabel('Event id').fill(idOf(2));
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Payload' }).waitFor();
  });

  it('pages follow the cursor, and Back leads back', async () => {
    await page.goto(`${mock.url}#/events?status=dead`);
    await page.getByText('50 rows').waitFor();
    await page.getByRole('link', { name: 'Next page' }).click();
    await page.getByText('13 rows').waitFor();
    expect(await page.getByRole('link', { name: 'Next page' }).count()).toBe(0);
    await page.goBack();
    await page.getByText('50 rows').waitFor();
  });

  it('what others wrote is shown as text, and cut', async () => {
    await page.goto(`${mock.url}#/event?id=${idOf(3)}&source=order`);
    await page.getByText('<script>window.hacked=1</script>⟨U+0000⟩⟨U+001B⟩[31m⟨U+202E⟩gnp.exe').waitFor();
    await page.getByText(HOSTILE.key).waitFor();
    const more = page.getByRole('button', {
      name: `Show all (${HOSTILE.reason.length.toLocaleString('en')} characters)`,
    });
    await more.click();
    await page.getByText('very long end').waitFor();
    await page.getByText('</pre><script>window.hacked=1</script>').waitFor();
    for (const hash of ['#/events?status=dead', '#/failures', `#/journey?of=${encodeURIComponent(HOSTILE.key)}`]) {
      await page.goto(mock.url + hash);
      await page.locator('main table').first().waitFor();
    }
    expect(await page.evaluate('window.hacked')).toBeUndefined();
    expect(await page.locator('main img, main script').count()).toBe(0);
  });

  it('what needs a person leads to where one can act', async () => {
    await page.getByRole('link', { name: 'Look: 62 dead events need a person' }).click();
    await page.getByText('50 rows').waitFor();
    expect(new URL(page.url()).hash).toBe('#/events?needPerson=true&source=order&status=dead');
    await page.getByRole('link', { name: 'Now' }).click();
    await page.getByRole('link', { name: 'Look: Nobody consumes order.audit.inventory.deducted' }).click();
    await page.getByText('nobody consumes', { exact: true }).waitFor();
  });

  it('the charts go on while the tab is visible, and nothing is asked while it is hidden', async () => {
    const asked = (): number => mock.asked.filter(({ path }) => path === 'now').length;
    await eventually(() => asked() >= 3);
    await page.getByRole('img', { name: /^Recorded: now [\d.]+\/s/ }).waitFor();

    const hide = (hidden: boolean): string =>
      `Object.defineProperty(document, 'hidden', { configurable: true, value: ${hidden} }); document.dispatchEvent(new Event('visibilitychange'));`;
    // By the page's own clock, so that nothing is waited for.
    await page.clock.install();
    await page.reload();
    await page.getByRole('heading', { name: 'Needs a person' }).waitFor();
    await page.evaluate(hide(true));
    const before = asked();
    await page.clock.runFor(60_000);
    expect(asked()).toBe(before);
    await page.evaluate(hide(false));
    await eventually(() => asked() === before + 1);
  });

  it.each([
    [503, { code: 'UNAVAILABLE', message: 'pool is exhausted' }, 'cannot be asked now', 'pool is exhausted'],
    [404, { code: 'EVENT_NOT_FOUND', message: 'no such event' }, 'There is no such event here', 'no such event'],
    [401, 'Sign in, please', 'Sign in again and reload', 'HTTP 401'],
    [502, '<html>Bad gateway</html>', 'look at the service’s log', 'HTTP 502'],
  ])('%i is told in a sentence with what to do, and asked again', async (status, body, advice, said) => {
    mock.refusals.set(`events/${idOf(2)}`, { status, body });
    await page.goto(`${mock.url}#/event?id=${idOf(2)}&source=order`);
    const alert = page.getByRole('alert');
    await alert.getByText(advice).waitFor();
    await alert.getByText(said).waitFor();

    mock.refusals.clear();
    await alert.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('heading', { name: 'Payload' }).waitFor();
    await alert.waitFor({ state: 'detached' });
  });

  it('without an answer the numbers stay, are said to be old, and come back by themselves', async () => {
    await page.getByText('62 dead events need a person').waitFor();
    await page.route('**/api/now', (route) => route.abort());
    await page.getByRole('alert').getByText('The service does not answer').waitFor();
    await page.getByText('These numbers are old').waitFor();
    await page.getByText('62 dead events need a person').waitFor();

    await page.unroute('**/api/now');
    await page.getByRole('alert').waitFor({ state: 'detached' });
  });
});
