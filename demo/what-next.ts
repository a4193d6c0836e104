import { maskedUrl } from '../tools/servers/masked-url';
import type { DemoDatabases } from './database';
import type { Narrator } from './narrator';
import type { Shop } from './shop';

/** The end of a demo that is over. */
export function sayWhatNext(narrator: Narrator): void {
  narrator.title('What to try next');
  narrator.command('npm run demo -- --keep      both services stay, for orders of your own');
  narrator.command('docker compose up --build   the same two as containers');
  narrator.command('npm run chaos -- --list     the faults that are tried on them under load');
  narrator.command('README.md, "Quick start"    two services of your own, two files each');
}

/** The end of a story whose services stay. */
export function sayWhatToCall(
  narrator: Narrator,
  { urls }: Shop,
  databases: DemoDatabases,
  consolePassword: string,
): void {
  const { order, inventory } = urls;
  narrator.title('Both services are running, until Ctrl-C');
  narrator.command(`order      ${order}    ${clientFor(databases.orderUrl)}`);
  narrator.command(`inventory  ${inventory}    ${clientFor(databases.inventoryUrl)}`);
  narrator.command(`console    ${order}/reliable-mq    any name, password ${consolePassword}`);
  narrator.say('Try, in another terminal:');
  narrator.command(`curl ${order}/orders -H content-type:application/json \\`);
  narrator.command(`  -d '{"sku":"mug","quantity":2}'`);
  narrator.command(`curl ${order}/orders/summary`);
  narrator.command(`curl ${inventory}/stock/mug`);
  narrator.command(`curl ${inventory}/stock/mug/deductions`);
  narrator.command(`curl ${order}/health`);
  narrator.say('What your orders do is told here:');
}

/** How to look into a database. */
function clientFor(url: string): string {
  if (url.startsWith('postgres')) return `psql '${maskedUrl(url)}'`;
  const { hostname, port, username, pathname } = new URL(url);
  return `mariadb -h ${hostname} -P ${port || 3306} -u ${username} ${pathname.slice(1)}`;
}
