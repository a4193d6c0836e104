import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Queue, QueueAnswer, QueueRequest } from '../../api';
import type { ConsoleProblem } from '../state/client';
import { useConsole } from '../state/console';
import { asProblem } from '../state/use-load';
import { useWords } from '../text/words';
import { Dialog, WhyField } from './dialog';
import { ProblemBox } from './problem';

interface Props {
  readonly queue: Queue;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

/** Pauses a queue that runs, resumes one that is paused. */
export function QueueDialog({ queue, onClose, onDone }: Props): JSX.Element {
  const { t } = useWords();
  const { client, announce } = useConsole();
  const [why, setWhy] = useState('');
  const [problem, setProblem] = useState<ConsoleProblem>();
  const [isSending, setSending] = useState(false);
  const { name, source = '', consumer, type } = queue;
  // As it was when it was asked: the list behind goes on being refreshed.
  const [isPaused] = useState(queue.paused !== undefined);

  const send = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    setSending(true);
    setProblem(undefined);
    const request: QueueRequest = { source, consumer, type, why: why.trim() };
    try {
      const { changed } = await client.post<QueueAnswer>(isPaused ? 'queues/resume' : 'queues/pause', request);
      const done = isPaused ? t.consumers.resumedNow(name) : t.consumers.pausedNow(name);
      announce(changed ? done : t.consumers.already);
      onDone();
      onClose();
    } catch (error) {
      setProblem(asProblem(error));
      setSending(false);
    }
  };

  return (
    <Dialog title={isPaused ? t.consumers.resumeTitle(name) : t.consumers.pauseTitle(name)} onClose={onClose}>
      <form onSubmit={(event) => void send(event)}>
        <p>{isPaused ? t.consumers.resumeHint : t.consumers.pauseHint}</p>
        <WhyField value={why} onChange={setWhy} />
        <ProblemBox problem={problem} />
        <footer>
          <button type="button" onClick={onClose}>
            {t.cancel}
          </button>
          <button type="submit" class="primary" disabled={isSending || why.trim() === ''}>
            {isPaused ? t.consumers.resume : t.consumers.pause}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
