import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pageOf } from '../../bench/page';
import type { Result } from '../../bench/report';

const DOCS = join(__dirname, '../../docs');
/** Results of `npm run bench -- --json`, one per version of Node. */
const RESULT = /^bench-node\d+\.json$/;

const reports = join(DOCS, 'reports');
const results = readdirSync(reports)
  .filter((file) => RESULT.test(file))
  .sort()
  .map((file) => JSON.parse(readFileSync(join(reports, file), 'utf8')) as Result);
const { markdown, charts } = pageOf(results);
const images = join(DOCS, 'img', 'bench');
rmSync(images, { recursive: true, force: true });
mkdirSync(images, { recursive: true });
for (const [file, chart] of Object.entries(charts)) writeFileSync(join(images, file), chart);
writeFileSync(join(DOCS, 'benchmarks.md'), markdown);
