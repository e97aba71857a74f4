-- What explains delays afterwards, and how much may wait.

-- What the message waited for before a call, and until when it was to.
ALTER TABLE attempts
    ADD waited_for text,
    ADD due_at     timestamptz;

-- Gates that were closed once: the present one is in channel_gates, where reason_since is when it closed for its present
-- reason; null as since.
ALTER TABLE channel_gates
    ADD reason_since timestamptz;
CREATE TABLE gate_history (
    workspace_id uuid        NOT NULL,
    channel_id   uuid        NOT NULL,
    since        timestamptz NOT NULL,
    reason       text        NOT NULL,
    opened_at    timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, channel_id, since, reason)
);

-- Messages of a channel that may wait; more are not accepted.
ALTER TABLE channels
    ADD backlog_max integer NOT NULL DEFAULT 1000000;

-- serves store.backlog.contenders
CREATE INDEX channels_account ON channels (account_id);
