-- The tables of the main path: who may send (workspaces, channels, access_keys), what was accepted (messages,
-- message_keys, contacts), what waits (outbox), who sends it (replicas, channel_leases, channel_gates), what was tried
-- (attempts), and what operators did (audit). Every table has workspace_id first in its key, so that the schema can be
-- distributed by workspace; exceptions say why.

-- One row: what is fixed once for the installation.
CREATE TABLE installation (
    only_row        boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    organization_id uuid        NOT NULL DEFAULT gen_random_uuid(),
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO installation DEFAULT VALUES;

CREATE TABLE workspaces (
    workspace_id    uuid        PRIMARY KEY,
    organization_id uuid        NOT NULL,
    name            text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- revision rises with every change: an owner that holds an older one loads the channel again.
CREATE TABLE channels (
    workspace_id        uuid        NOT NULL REFERENCES workspaces,
    channel_id          uuid        NOT NULL,
    connector_id        uuid        NOT NULL,
    name                text        NOT NULL,
    number              text        NOT NULL,
    message_type        text        NOT NULL,
    messages_per_second integer     NOT NULL,
    status              text        NOT NULL,
    provider_key        bytea       NOT NULL,
    revision            bigint      NOT NULL DEFAULT 1,
    created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace_id, channel_id)
);

-- Found by hash alone: the key says which workspace it is for.
CREATE TABLE access_keys (
    workspace_id  uuid        NOT NULL REFERENCES workspaces,
    access_key_id uuid        NOT NULL,
    name          text        NOT NULL,
    key_hash      bytea       NOT NULL,
    scopes        text[]      NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked_at    timestamptz,
    PRIMARY KEY (workspace_id, access_key_id)
);
-- serves store.access_key.find
CREATE UNIQUE INDEX access_keys_hash ON access_keys (key_hash);

CREATE TABLE contacts (
    workspace_id     uuid        NOT NULL,
    contact_id       uuid        NOT NULL,
    identifier_key   text        NOT NULL,
    identifier_value text        NOT NULL,
    created_at       timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, contact_id)
);

-- The resource. Partitioned by range of its time-ordered id, so that months are id ranges and retention drops
-- partitions. status holds 'waiting' until the message leaves the outbox; what is shown meanwhile follows from there.
CREATE TABLE messages (
    workspace_id        uuid        NOT NULL,
    message_id          uuid        NOT NULL,
    channel_id          uuid        NOT NULL,
    contact_id          uuid        NOT NULL,
    recipient           text        NOT NULL,
    body                text        NOT NULL,
    parts               text        NOT NULL,
    reference           text        NOT NULL,
    tags                text[]      NOT NULL,
    meta                text        NOT NULL,
    scheduled_for       timestamptz,
    expires_at          timestamptz NOT NULL,
    status              text        NOT NULL,
    reason              text        NOT NULL DEFAULT '',
    failure_code        integer,
    failure_source      text,
    failure_source_code text,
    platform_references text[]      NOT NULL DEFAULT '{}',
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    last_status_at      timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, message_id)
) PARTITION BY RANGE (message_id);
CREATE TABLE messages_default PARTITION OF messages DEFAULT;
-- serves store.message.list
CREATE INDEX messages_channel ON messages (workspace_id, channel_id, message_id);

-- Deduplication. Not partitioned: a unique index over partitions would have to hold the partition key.
CREATE TABLE message_keys (
    workspace_id uuid  NOT NULL,
    message_key  text  NOT NULL COLLATE "C",
    message_id   uuid  NOT NULL,
    fingerprint  bytea NOT NULL,
    PRIMARY KEY (workspace_id, message_key)
);

-- Only what is unfinished. due_at of a claimed row is the instant at which the claim lapses: if no result is settled
-- the row falls due again by itself. claim counts claims and fences results; tries counts what the message has used.
CREATE TABLE outbox (
    workspace_id uuid        NOT NULL,
    message_id   uuid        NOT NULL,
    channel_id   uuid        NOT NULL,
    lane         smallint    NOT NULL,
    due_at       timestamptz NOT NULL,
    due_reason   text        NOT NULL,
    expires_at   timestamptz NOT NULL,
    part         smallint    NOT NULL DEFAULT 0,
    tries        smallint    NOT NULL DEFAULT 0,
    claim        bigint      NOT NULL DEFAULT 0,
    maybe_sent   boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (workspace_id, message_id)
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 10000,
    autovacuum_vacuum_cost_delay = 0
);
-- serves store.outbox.claim, store.outbox.wake_times
CREATE INDEX outbox_due ON outbox (channel_id, lane, due_at, message_id);
-- serves store.outbox.claim_expired, store.outbox.wake_times
CREATE INDEX outbox_expiry ON outbox (channel_id, expires_at);

-- One row a settled call. Partitioned like messages, by the message it belongs to.
CREATE TABLE attempts (
    workspace_id uuid        NOT NULL,
    message_id   uuid        NOT NULL,
    claim        bigint      NOT NULL,
    part         smallint    NOT NULL,
    replica_id   uuid        NOT NULL,
    started_at   timestamptz NOT NULL,
    finished_at  timestamptz NOT NULL,
    outcome      text        NOT NULL,
    rule         text        NOT NULL,
    http_status  integer,
    detail       text        NOT NULL,
    PRIMARY KEY (workspace_id, message_id, claim)
) PARTITION BY RANGE (message_id);
CREATE TABLE attempts_default PARTITION OF attempts DEFAULT;

-- Running processes; a process belongs to no workspace. number is the key of the advisory lock that shows presence.
CREATE TABLE replicas (
    replica_id   uuid        PRIMARY KEY,
    number       integer     NOT NULL GENERATED ALWAYS AS IDENTITY,
    has_presence boolean     NOT NULL,
    started_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Who sends for a channel. epoch rises with every change of owner and fences claims.
CREATE TABLE channel_leases (
    workspace_id uuid        NOT NULL,
    channel_id   uuid        NOT NULL,
    replica_id   uuid,
    epoch        bigint      NOT NULL DEFAULT 0,
    expires_at   timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (workspace_id, channel_id)
) WITH (fillfactor = 50);

-- Closed gates; an open gate has no row.
CREATE TABLE channel_gates (
    workspace_id uuid        NOT NULL,
    channel_id   uuid        NOT NULL,
    reason       text        NOT NULL,
    since        timestamptz NOT NULL,
    until        timestamptz NOT NULL,
    closings     integer     NOT NULL,
    PRIMARY KEY (workspace_id, channel_id)
);

-- What was done through the admin API; only ever added to. workspace_id is null for acts on the installation.
CREATE TABLE audit (
    audit_id     bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    workspace_id uuid,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor        text        NOT NULL,
    act          text        NOT NULL,
    subject      text        NOT NULL,
    detail       text        NOT NULL
);
