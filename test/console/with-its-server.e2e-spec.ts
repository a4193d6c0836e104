import type { Browser, Page } from 'playwright-core';
import { ensurePage } from '../../tools/console/build-page';
import { startConsoleApp, Things } from '../integration/console-harness';
import { eventually } from '../support/eventually';
import type { TestApp } from '../support/test-app';
import { violationsOn } from './axe';
import { launchChromium, visit } from './chromium';
import { describeInChromium } from './describe-in-chromium';

describeInChromium('the console’s page with its server', () => {
  let browser: Browser;
  let app: TestApp;
  let things: Things;
  let page: Page;
  let wrong: string[];

  beforeAll(async () => {
    ensurePage();
    browser = await launchChromium();
    // Another service's database, which is away.
    app = await startConsoleApp({
      console: { databases: [{ name: 'far', url: 'postgres://nobody@127.0.0.1:1/gone' }] },
    });
    things = app.get(Things);
  });
  afterAll(async () => {
    await browser?.close();
    await app?.dispose();
  });
  beforeEach(async () => {
    ({ page, wrong } = await visit(browser, `${app.url}/reliable-mq`, { extraHTTPHeaders: { 'x-name': 'ada' } }));
    await page.getByRole('heading', { name: 'Now' }).waitFor();
  });
  afterEach(async () => {
    await page.context().close();
    expect(wrong).toEqual([]);
  });

  const statusOf = async (id: string): Promise<unknown> => (await app.outbox({ id }))[0]?.status;
  const open = (hash: string): Promise<unknown> => page.goto(`${app.url}/reliable-mq${hash}`);
  const dialog = () => page.getByRole('dialog');
  const confirm = async (name: string, why: string): Promise<void> => {
    await dialog().getByLabel('Why').fill(why);
    await dialog().getByRole('button', { name, exact: true }).click();
    await dialog().waitFor({ state: 'detached' });
  };
  const dead = async (name: string): Promise<string> => {
    things.refused.add(name);
    const id = await things.make(name);
    await eventually(async () => (await statusOf(id)) === 'dead');
    return id;
  };

  it('somebody finds an order, sees why, redrives it, and sees it end', async () => {
    const id = await dead('A-1');
    await page.getByRole('searchbox', { name: 'Find an order' }).fill('A-1');
    await page.keyboard.press('Enter');
    await page.getByText('nobody wants A-1').first().waitFor();
    await page.getByText('far could not be asked; what it knows is missing:').waitFor();
    expect(await violationsOn(page)).toEqual([]);
    await page.getByRole('link', { name: /^Open event/ }).click();
    await page.getByText('"secret": "hunter2"').waitFor();

    things.refused.delete('A-1');
    await page.getByRole('button', { name: 'Redrive …', exact: true }).click();
    await dialog().getByText('1 matches.').waitFor();
    await confirm('Redrive', 'somebody wants it now');
    await page.getByText('consumed', { exact: true }).waitFor();
    expect(await statusOf(id)).toBe('consumed');

    await page.getByRole('link', { name: 'See its progress' }).click();
    await page.getByText('1 of 1').waitFor();
    await page.getByRole('link', { name: 'Audit', exact: true }).click();
    const row = page.getByRole('row', { name: /somebody wants it now/ });
    await row.waitFor();
    expect(await row.textContent()).toContain('ada');
  });

  it('somebody redrives all of a group of failures', async () => {
    const ids = [await dead('B-1'), await dead('B-2'), await dead('B-3')];
    for (const name of ['B-1', 'B-2', 'B-3']) things.refused.delete(name);
    await open('#/failures');
    await page
      .getByRole('button', { name: /^Redrive/ })
      .first()
      .click();
    await dialog().getByText('3 match.').waitFor();
    await dialog().getByLabel('At most per second').fill('100');
    await confirm('Redrive', 'all of them are wanted');
    await eventually(async () => {
      for (const id of ids) expect(await statusOf(id)).toBe('consumed');
    });
  });

  it('somebody finds dead events by a filter, sees one alone, and archives it', async () => {
    const id = await dead('C-1');
    await open('#/events?status=dead&key=C-1&needPerson=true');
    await page.getByRole('checkbox', { name: `Select ${id}` }).check();
    await page.getByRole('button', { name: 'Archive …' }).first().click();
    await dialog().getByText('1 matches.').waitFor();
    await confirm('Archive', 'a test of the shop');
    await eventually(async () => {
      await page.reload();
      await page.getByText('Nothing here.').waitFor({ timeout: 1_000 });
    });
    await open('#/events?archived=true&key=C-1');
    await page.getByRole('link', { name: id }).waitFor();
  });

  it('somebody mends a payload and follows the new event', async () => {
    const id = await dead('D-1');
    await open(`#/event?id=${id}&source=default`);
    await page.getByRole('button', { name: 'Edit and redrive …' }).click();
    const payload = dialog().getByLabel('New payload (JSON)');
    await payload.fill('{ "name": 7, "secret": "x" }');
    await dialog().getByLabel('Why').fill('it was called wrong');
    await dialog().getByRole('button', { name: 'Record the new event' }).click();
    await dialog().getByRole('alert').getByText('The payload is not valid for its type').waitFor();
    await payload.fill('{ "name": "D-2", "secret": "x" }');
    await confirm('Record the new event', 'it was called wrong');
    await page.getByRole('link', { name: 'See its journey' }).last().click();
    await page.getByText('caused by thing.made').waitFor();
    await eventually(() => things.handled.includes('D-2'));
  });

  it('somebody retries a handling that was rejected', async () => {
    const id = await dead('E-1');
    things.refused.delete('E-1');
    await open('#/handlings?status=rejected&key=E-1');
    await page.getByRole('checkbox', { name: `Select ${id}` }).check();
    await page.getByRole('button', { name: 'Retry …' }).first().click();
    await dialog().getByText('1 matches.').waitFor();
    await confirm('Retry', 'wanted now');
    await eventually(() => things.handled.includes('E-1'));
  });

  it('somebody pauses a queue, sees who did, and resumes it', async () => {
    await open('#/consumers');
    await page.getByRole('button', { name: /^Pause: / }).click();
    await confirm('Pause', 'the warehouse moves');
    await page.getByText('the warehouse moves').waitFor();
    await page.getByRole('link', { name: 'Now' }).click();
    await page.getByText(/is paused$/).waitFor();
    await open('#/consumers');
    await page.getByRole('button', { name: /^Resume: / }).click();
    await confirm('Resume', 'it has moved');
    await page.getByRole('button', { name: /^Pause: / }).waitFor();
  });

  it('somebody filters in a way that the server does not hold, and reads why', async () => {
    await open('#/events?overdue=true&archived=true');
    await page.getByRole('alert').getByText('fingerprint and archived are not looked for').waitFor();
  });

  it('who may only read sees the same, and no action', async () => {
    const id = await dead('F-1');
    const reader = await visit(browser, `${app.url}/reliable-mq/#/event?id=${id}&source=default`, {
      extraHTTPHeaders: { 'x-name': 'reader' },
    });
    await reader.page.getByText('nobody wants F-1').first().waitFor();
    expect(await reader.page.getByRole('button', { name: /Redrive/ }).count()).toBe(0);
    expect(reader.wrong).toEqual([]);
    await reader.page.context().close();
  });
});
