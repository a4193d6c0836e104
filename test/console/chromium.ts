import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { provideChromiumNow } from '../../tools/servers/chromium';

/** Or why there is none. */
export const found = provideChromiumNow();

export async function launchChromium(): Promise<Browser> {
  if ('missing' in found) throw new Error(found.missing);
  return chromium.launch({
    executablePath: found.path,
    // Chromium refuses its sandbox to root, and containers refuse it to everybody.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
  });
}

/** A page, and what went wrong in it: errors, refusals of the policy, requests to anywhere else. */
export interface Visit {
  readonly page: Page;
  readonly wrong: string[];
}

export async function visit(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    locale: 'en-GB',
    timezoneId: 'UTC',
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const wrong: string[] = [];
  page.on('pageerror', (error) => wrong.push(String(error)));
  page.on('console', (message) => {
    // What a server refuses is told by Chromium as an error of its own, and is part of some tests.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) wrong.push(message.text());
  });
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin) wrong.push(`asked elsewhere: ${request.url()}`);
  });
  await page.goto(url);
  return { page, wrong };
}
