import { mkdirSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { launchChromium, visit } from './chromium';
import { MockConsole } from './mock-console';

const FOLDER = resolve(__dirname, '../../docs/img');
const SIZE = { width: 1100, height: 640 };
/** Answers that the charts are drawn from. */
const ANSWERS = 60;
const EVERY_MS = 5_000;

/** By the name of the picture. */
const PICTURES: Readonly<Record<string, string>> = {
  now: '#/now',
  journey: '#/journey?of=A-1001',
  failures: '#/failures',
};

/** `npm run docs:console`: what the console looks like, light and dark, of a small shop that is not there. */
async function writePictures(): Promise<void> {
  mkdirSync(FOLDER, { recursive: true });
  const browser = await launchChromium();
  const mock = await MockConsole.start();
  mock.answers.deadEvents = mock.answers.deadEvents.filter(({ text }) => !text.includes('hostile'));
  try {
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page } = await visit(browser, 'about:blank', { colorScheme, viewport: SIZE, locale: 'en-GB' });
      // Minutes of charts, by the page's own clock.
      await page.clock.install();
      await page.goto(mock.url);
      for (let answer = 0; answer < ANSWERS; answer += 1) {
        mock.answers.aheadMs += EVERY_MS;
        const answered = page.waitForResponse('**/api/now');
        await page.clock.runFor(EVERY_MS);
        await answered;
      }
      for (const [name, hash] of Object.entries(PICTURES)) {
        await page.goto(mock.url + hash);
        await page.locator('main .panel, main table').first().waitFor();
        const path = join(FOLDER, `console-${name}-${colorScheme}.png`);
        await page.screenshot({ path });
        process.stdout.write(`${relative(process.cwd(), path)} (${Math.ceil(statSync(path).size / 1_024)} kB)\n`);
      }
      await page.context().close();
    }
  } finally {
    await browser.close();
    await mock.close();
  }
}

void writePictures();
