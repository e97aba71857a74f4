-- Steering what waits: pauses, acts on the messages that a selector names, replays, and what happened to a message besides
-- its calls.

-- While a pause holds, messages are accepted and not sent. It is over when it was ended, or when its time has come. scope is
-- 'workspace', 'channel' or 'tag'.
CREATE TABLE pauses (
    workspace_id uuid        NOT NULL REFERENCES workspaces,
    pause_id     uuid        NOT NULL,
    scope        text        NOT NULL,
    channel_id   uuid,
    tag          text        COLLATE "C",
    reason       text        NOT NULL,
    actor        text        NOT NULL,
    until        timestamptz,
    created_at   timestamptz NOT NULL,
    ended_at     timestamptz,
    ended_by     text,
    PRIMARY KEY (workspace_id, pause_id)
);
-- serves store.pause.open, and what else asks for open ones: those whose time has come are not walked over
CREATE INDEX pauses_open ON pauses (workspace_id, coalesce(until, 'infinity')) WHERE ended_at IS NULL;

-- An act on many messages: counted first, done when it is confirmed by its id. It concerns messages with ids below the one
-- named; reached is where it goes on. Of those looked at, acted were changed and passed were not: they had changed
-- meanwhile, or were being sent. worked_at shows that a process is at it.
CREATE TABLE actions (
    workspace_id uuid        NOT NULL REFERENCES workspaces,
    action_id    uuid        NOT NULL,
    channel_id   uuid        NOT NULL,
    action       text        NOT NULL,
    selector     text        NOT NULL,
    below        uuid        NOT NULL,
    counted      bigint      NOT NULL,
    actor        text        NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    confirmed_at timestamptz,
    reached      uuid        NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    acted        bigint      NOT NULL DEFAULT 0,
    passed       bigint      NOT NULL DEFAULT 0,
    worked_at    timestamptz,
    finished_at  timestamptz,
    PRIMARY KEY (workspace_id, action_id)
) WITH (fillfactor = 50);
-- serves store.action.open
CREATE INDEX actions_open ON actions (worked_at) WHERE confirmed_at IS NOT NULL AND finished_at IS NULL;
-- serves store.action.create
CREATE INDEX actions_unconfirmed ON actions (workspace_id, expires_at) WHERE confirmed_at IS NULL;
-- both serve store.action.forget
CREATE INDEX actions_lapsed ON actions (expires_at) WHERE confirmed_at IS NULL;
CREATE INDEX actions_finished ON actions (finished_at) WHERE finished_at IS NOT NULL;
INSERT INTO chores (chore) VALUES ('actions');

-- A message that was replayed is sent again by another one; it is so once.
ALTER TABLE messages
    ADD replayed_as uuid,
    ADD replay_of   uuid;

-- What happened to a message besides calls: the wait that ended then (what it waited for, until when it was to), and the one
-- that began. actor is who did it, empty for tuma itself. Partitioned like messages, by the message it belongs to.
CREATE TABLE message_events (
    workspace_id uuid        NOT NULL,
    message_id   uuid        NOT NULL,
    at           timestamptz NOT NULL,
    event        text        NOT NULL,
    waited_for   text,
    due_at       timestamptz,
    reason       text,
    until        timestamptz,
    actor        text        NOT NULL DEFAULT '',
    PRIMARY KEY (workspace_id, message_id, at, event)
) PARTITION BY RANGE (message_id);
CREATE TABLE message_events_default PARTITION OF message_events DEFAULT;
ALTER TABLE message_events_default SET (autovacuum_vacuum_insert_scale_factor = 0.05);
-- It gets its partitions now, not with the next regular look.
UPDATE chores SET due_at = '-infinity' WHERE chore = 'partitions';
