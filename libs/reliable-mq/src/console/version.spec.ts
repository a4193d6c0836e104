import { version } from '../../package.json';
import { VERSION } from './version';

describe('the version that the console shows', () => {
  it('is that of the package', () => {
    expect(VERSION).toBe(version);
  });
});
