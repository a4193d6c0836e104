import type { Recording } from './record-harness';

/** Where another package's `@Transactional` stands to `@TransactionalEvent`: around it, within it, or on the same method. */
const STYLES = ['outside', 'inside', 'above', 'below'] as const;

/** A method of each style, which writes and records a text, and another one by that package's own way. */
export type StyledNotes = Readonly<
  Record<(typeof STYLES)[number], (text: string, then?: () => void) => Promise<unknown>>
>;

/** @param other what the second text ends with */
export function itSharesTransactions(recording: () => Recording, notes: () => StyledNotes, other: string): void {
  it.each(STYLES)(
    '@Transactional %s @TransactionalEvent is one transaction, with its repositories and its events',
    async (style) => {
      await notes()[style]('a');
      await recording().expectEverywhere('a', `a ${other}`);
    },
  );

  it.each(STYLES)('@Transactional %s @TransactionalEvent drops everything when it fails', async (style) => {
    const undo = (): never => {
      throw new Error('undo');
    };
    await expect(notes()[style]('undone', undo)).rejects.toThrow('undo');
    await recording().expectEverywhere();
  });
}
