import type { Browser, Page } from 'playwright-core';
import { eventually } from '../support/eventually';
import { violationsOn } from './axe';
import { launchChromium, visit } from './chromium';
import { describeInChromium } from './describe-in-chromium';
import { idOf } from './fixtures';
import { MockConsole } from './mock-console';

describeInChromium('actions in the console', () => {
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
  });
  afterEach(async () => {
    await page.context().close();
    await mock.close();
    expect(wrong).toEqual([]);
  });

  const open = (hash: string): Promise<unknown> => page.goto(mock.url + hash);
  const dialog = () => page.getByRole('dialog');
  const confirm = async (name: string, why: string): Promise<void> => {
    await dialog().getByLabel('Why').fill(why);
    await dialog().getByRole('button', { name, exact: true }).click();
    await dialog().waitFor({ state: 'detached' });
  };

  it.each([
    ['Redrive', 'Redrive', 'redrive'],
    ['Archive', 'Archive', 'archive'],
    ['Discard', 'Discard for good', 'discard'],
  ])('%s one dead event, after a dry run and with a why', async (button, go, operation) => {
    await open(`#/event?id=${idOf(2)}&source=order`);
    await page.getByRole('button', { name: `${button} …`, exact: true }).click();
    await dialog().getByText('1 matches.').waitFor();
    expect(await dialog().getByRole('button', { name: go, exact: true }).isDisabled()).toBe(true);
    expect(await violationsOn(page)).toEqual([]);

    await confirm(go, 'the stock is back');

    const target = { operation, source: 'order', ids: [idOf(2)] };
    expect(mock.posted('operations')).toEqual([
      { ...target, dryRun: true },
      { ...target, perSecond: 10, why: 'the stock is back' },
    ]);
    await page.getByRole('status').getByText('Started, with 1 row.').waitFor();
  });

  it('Redrive says so when even what was compensated is meant', async () => {
    await open(`#/event?id=${idOf(2)}&source=order`);
    await page.getByRole('button', { name: 'Redrive …', exact: true }).click();
    await dialog().getByRole('checkbox').check();
    await dialog().getByText('1 matches.').waitFor();
    await confirm('Redrive', 'we will ship it');

    expect(mock.posted('operations').at(-1)).toMatchObject({ evenIfCompensated: true });
  });

  it('Edit and redrive sends the new payload, and leads to the new event', async () => {
    await open(`#/event?id=${idOf(2)}&source=order`);
    await page.getByRole('button', { name: 'Edit and redrive …' }).click();
    const payload = dialog().getByLabel('New payload (JSON)');
    await payload.fill('{ "quantity": ');
    await dialog().getByLabel('Why').fill('three were meant to be one');
    await dialog().getByText('This is no JSON').waitFor();
    expect(await dialog().getByRole('button', { name: 'Record the new event' }).isDisabled()).toBe(true);
    expect(await violationsOn(page)).toEqual([]);

    await payload.fill('{ "orderId": "A-1002", "quantity": 1 }');
    await confirm('Record the new event', 'three were meant to be one');

    expect(mock.posted(`events/${idOf(2)}/edit-and-redrive`)).toEqual([
      { source: 'order', payload: { orderId: 'A-1002', quantity: 1 }, why: 'three were meant to be one' },
    ]);
    await page.getByRole('link', { name: 'See its journey' }).last().click();
    await page.getByText('caused by order.created').first().waitFor();
  });

  it('what is redacted cannot be edited', async () => {
    await open(`#/event?id=${idOf(5)}&source=order`);
    await page.getByText('Parts of the payload are hidden.').waitFor();
    expect(await page.getByRole('button', { name: 'Edit and redrive …' }).isDisabled()).toBe(true);
  });

  it('on the events that were chosen', async () => {
    await open('#/events?status=dead');
    await page.getByRole('checkbox', { name: `Select ${idOf(2)}` }).check();
    await page.getByRole('checkbox', { name: `Select ${idOf(5)}` }).check();
    await page.getByText('2 selected').waitFor();
    await page.getByRole('button', { name: 'Archive …' }).first().click();
    await dialog().getByText('2 match.').waitFor();
    await confirm('Archive', 'known');

    expect(mock.posted('operations').at(-1)).toMatchObject({ operation: 'archive', ids: [idOf(2), idOf(5)] });
    await page.getByText('2 selected').waitFor({ state: 'detached' });
  });

  it('on all that match the filter: first how many and which, then how fast and why, then its progress until it is stopped', async () => {
    await open('#/events?status=dead&type=order.created&needPerson=true');
    await page.getByRole('button', { name: 'Redrive …', exact: true }).click();
    await dialog().getByText('62 match.').waitFor();
    await dialog().getByText('The first of them').click();
    await dialog().getByText(idOf(100)).waitFor();
    await dialog().getByLabel('At most per second').fill('25');
    await confirm('Redrive', 'inventory is mended');

    expect(mock.posted('operations').at(-1)).toEqual({
      operation: 'redrive',
      source: 'order',
      filter: { type: 'order.created', needPerson: true },
      perSecond: 25,
      why: 'inventory is mended',
    });
    await page.getByRole('link', { name: 'See its progress' }).click();
    await page.getByText('1 of 62').waitFor();
    mock.answers.changeRun('run-1', { done: 30 });
    await page.getByText('30 of 62').waitFor();
    await page.getByRole('button', { name: 'Stop: run-1' }).click();
    await page.getByText('stopped', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Stop: run-1' }).waitFor({ state: 'detached' });
  });

  it('not on all that match a filter that the operation cannot hold', async () => {
    await open('#/events?status=dead&olderThan=60');
    await page.getByText('A-1002').waitFor();
    await page.getByText('To act on all that match').waitFor();
    expect(await page.getByRole('button', { name: 'Redrive …' }).count()).toBe(0);
  });

  it.each([
    ['events', 'OutOfStockError', 'Redrive', { fingerprint: 'f1' }],
    ['events', 'OutOfStockError', 'Archive', { fingerprint: 'f1' }],
    ['handlings', 'TypeError', 'Retry', { fingerprint: 'f3' }],
  ])('on a group of failures, of %s: %s, %s', async (side, group, button, filter) => {
    await open(`#/failures?side=${side}`);
    await page.getByRole('button', { name: new RegExp(`^${button}: ${group}`) }).click();
    await dialog()
      .getByText(/matche?s?\.$/)
      .waitFor();
    await confirm(button, 'mended');

    expect(mock.posted('operations').at(-1)).toMatchObject({ operation: button.toLowerCase(), filter, perSecond: 10 });
  });

  it('Retry handlings that were chosen', async () => {
    await open('#/handlings?status=dead');
    await page.getByRole('checkbox', { name: `Select ${idOf(40)}` }).check();
    await page.getByRole('button', { name: 'Retry …' }).first().click();
    await dialog().getByText('1 matches.').waitFor();
    await confirm('Retry', 'mended');

    expect(mock.posted('operations').at(-1)).toMatchObject({
      operation: 'retry',
      keys: [{ eventId: idOf(40), consumer: 'order', type: 'inventory.deducted' }],
    });
  });

  it('Pause and resume a queue, and the audit says who and why', async () => {
    await open('#/consumers');
    await page.getByRole('button', { name: 'Pause: order.inventory.deducted' }).click();
    expect(await violationsOn(page)).toEqual([]);
    await confirm('Pause', 'the warehouse moves');
    await page.getByText('the warehouse moves').waitFor();
    await page.getByRole('button', { name: 'Resume: order.inventory.deducted' }).click();
    await confirm('Resume', 'moved');
    await page.getByRole('button', { name: 'Pause: order.inventory.deducted' }).waitFor();

    const queue = { source: 'order', consumer: 'order', type: 'inventory.deducted' };
    expect(mock.posted('queues/pause')).toEqual([{ ...queue, why: 'the warehouse moves' }]);
    expect(mock.posted('queues/resume')).toEqual([{ ...queue, why: 'moved' }]);
    await page.getByRole('link', { name: 'Audit', exact: true }).click();
    const row = page.getByRole('row', { name: /the warehouse moves/ });
    await row.waitFor();
    expect(await row.textContent()).toContain('ada@example.com');
  });

  it('a refusal stays in the dialog, in a sentence, and can be tried again', async () => {
    await open(`#/event?id=${idOf(2)}&source=order`);
    await page.getByRole('button', { name: 'Redrive …', exact: true }).click();
    await dialog().getByText('1 matches.').waitFor();
    mock.refusals.set('operations', { status: 429, body: { code: 'TOO_MANY', message: 'another run goes on' } });
    await dialog().getByLabel('Why').fill('mended');
    await dialog().getByRole('button', { name: 'Redrive', exact: true }).click();
    await dialog().getByRole('alert').getByText('wait until another run has ended').waitFor();
    await dialog().getByText('another run goes on').waitFor();
    expect(await violationsOn(page)).toEqual([]);

    mock.refusals.clear();
    await dialog().getByRole('button', { name: 'Redrive', exact: true }).click();
    await dialog().waitFor({ state: 'detached' });
    await eventually(() => mock.answers.runs.length === 1);
  });

  it.each([
    '#/events?status=dead',
    `#/event?id=${idOf(2)}&source=order`,
    '#/failures',
    '#/consumers',
    '#/handlings',
    '#/runs',
  ])('are not shown to who may only read: %s', async (hash) => {
    const reading = await MockConsole.start('read');
    reading.answers.post('operations', { operation: 'redrive', source: 'order', ids: [idOf(2)] });
    const reader = await visit(browser, reading.url + hash);
    await reader.page.getByText('You may look, and change nothing.').waitFor();
    await reader.page.locator('main table, main dl').first().waitFor();
    const buttons = await reader.page.locator('main button').allTextContents();
    expect(buttons.filter((text) => !/^(Apply|Clear|Show all.*)$/.test(text))).toEqual([]);
    expect(await reader.page.locator('main table input').count()).toBe(0);
    await reader.page.context().close();
    await reading.close();
  });

  it('are not shown for another service’s database', async () => {
    await open('#/events?source=inventory');
    await page.getByText('inventory.deducted').waitFor();
    expect(await page.locator('main table input').count()).toBe(0);
  });
});
