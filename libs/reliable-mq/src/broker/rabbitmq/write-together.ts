import type { Channel } from 'amqplib';

/** What amqplib keeps on each channel and does not declare: the socket of its connection. */
interface WithSocket {
  readonly connection?: { readonly stream?: { cork?(): void; uncork?(): void } };
}

const corked = new WeakSet<object>();

/**
 * To be called behind a publish or an acknowledgement: what is written to the channel's connection in this turn of the event loop leaves with one
 * system call. amqplib gives each message one of its own. Where it keeps its socket elsewhere, as many calls are made as before.
 */
export function writeTogether(channel: Channel): void {
  const socket = (channel as WithSocket).connection?.stream;
  if (!socket?.cork || corked.has(socket)) return;
  corked.add(socket);
  socket.cork();
  // Behind the immediate in which amqplib writes, for which it asks in a tick of its own.
  process.nextTick(() =>
    setImmediate(() => {
      corked.delete(socket);
      socket.uncork?.();
    }),
  );
}
