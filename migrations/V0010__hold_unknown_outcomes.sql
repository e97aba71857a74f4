-- Messages that may have been sent: a channel repeats them, or holds them for proof.

-- on_unknown is 'repeat' or 'hold'.
ALTER TABLE channels
    ADD on_unknown text NOT NULL DEFAULT 'repeat';

-- begun says whether the call of the present claim may have begun: so it may with any claim, but one of a channel that holds
-- what may have been sent, which notes it by a statement of its own before the first byte. may_repeat says that somebody let
-- a message go that may have been sent; it holds for one call of unknown outcome.
ALTER TABLE outbox
    ADD begun      boolean NOT NULL DEFAULT true,
    ADD may_repeat boolean NOT NULL DEFAULT false;

-- serves store.list and store.unknown.count
CREATE INDEX outbox_unknown ON outbox (workspace_id, message_id) WHERE maybe_sent;
-- serves store.list: 16002 is OUTCOME_UNKNOWN
CREATE INDEX messages_unknown ON messages (workspace_id, message_id) WHERE failure_code = 16002;
