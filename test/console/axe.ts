import axe from 'axe-core';
import type { AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';

/**
 * What axe finds wrong with a page as it is now, by the rules of WCAG 2.2 AA and its own best practices.
 *
 * @returns one line for each element, empty when there is nothing
 */
export async function violationsOn(page: Page): Promise<readonly string[]> {
  // By the debugger: the page's policy admits no script of ours.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<AxeResults>('axe.run(document, { resultTypes: ["violations"] })');
  return violations.flatMap(({ id, help, nodes }) => nodes.map(({ html }) => `${id}: ${help}: ${html.slice(0, 200)}`));
}
