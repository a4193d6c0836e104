import { CsrfTokens } from './csrf-tokens';

describe('CSRF tokens', () => {
  const tokens = new CsrfTokens('s'.repeat(32));

  it('are of one person and one secret, and are never the same', () => {
    const token = tokens.issue('anna');
    expect(tokens.isOf('anna', token)).toBe(true);
    expect(tokens.isOf('bert', token)).toBe(false);
    expect(new CsrfTokens('s'.repeat(32)).isOf('anna', token)).toBe(true);
    expect(new CsrfTokens('t'.repeat(32)).isOf('anna', token)).toBe(false);
    expect(tokens.issue('anna')).not.toBe(token);
  });

  it('cannot be cut and joined to be those of another person', () => {
    const [random = '', signature = ''] = tokens.issue('an').split('.');
    for (const token of [`na!${random}.${signature}`, `${random}.`, `.${signature}`, '', '.', undefined, {}, 1])
      expect(tokens.isOf('anna', token)).toBe(false);
  });
});
