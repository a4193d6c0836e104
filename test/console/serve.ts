import { MockConsole } from './mock-console';

/** For who works on the page: `node -r @swc-node/register test/console/serve.ts`, until Ctrl-C. */
void MockConsole.start().then(({ url }) => process.stdout.write(`${url}\n`));
