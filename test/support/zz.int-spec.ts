import { createServer } from 'node:net';
import { createTestDatabase } from './database';
import { rabbitmqUrl, uniquePrefix } from './rabbitmq';
import { eventually } from './eventually';
test('servers', async () => { const d = await createTestDatabase(); console.log(d.url, rabbitmqUrl(), uniquePrefix()); await d.drop(); await d.drop(); let n = 0; await eventually(() => ++n > 3); });
test('leak', () => { if (process.env.LEAK) { createServer().listen(0); setInterval(() => undefined, 1000); } });
