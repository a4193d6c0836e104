/** Answers that are the same for all who ask within a time: however many look, the question is asked once, and not again before it is answered. */
export class FreshAnswers<T> {
  private readonly known = new Map<string, { readonly answer: Promise<T>; readonly atMs: number; isOpen: boolean }>();

  /** @param freshMs how long an answer is good for, from the question on, in milliseconds */
  constructor(private readonly freshMs: number) {}

  /** @param key of the question: there are few */
  get(key: string, ask: () => Promise<T>): Promise<T> {
    const found = this.known.get(key);
    if (found && (found.isOpen || performance.now() - found.atMs < this.freshMs)) return found.answer;
    const entry = { answer: ask(), atMs: performance.now(), isOpen: true };
    const close = (): void => {
      entry.isOpen = false;
    };
    entry.answer.then(close, close);
    this.known.set(key, entry);
    return entry.answer;
  }
}
