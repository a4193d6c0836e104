import { statSync } from 'node:fs';
import { relative } from 'node:path';
import { packLibrary } from './pack-library';

const tarball = packLibrary();
const kilobytes = Math.ceil(statSync(tarball).size / 1024);
process.stdout.write(`${relative(process.cwd(), tarball)} (${kilobytes} kB)\n`);
