/** The inbox of somebody who writes it by hand: what is there has been handled. */
export const HAND_INBOX = 'CREATE TABLE inbox (id uuid PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())';

export const INSERT_INBOX = { name: 'inbox', text: 'INSERT INTO inbox (id) VALUES ($1) ON CONFLICT DO NOTHING' };
