-- Keeping tables small and forgetting: regular work (chores), how long texts are kept, erasure of a recipient, and
-- vacuuming of tables that only the start of the schema had left to the defaults.

-- Regular work, one row a kind. due_at of a chore under way is the instant at which it is taken to have died with its
-- replica; run counts takings and fences what a late one writes. position is where the chore goes on, in its own words.
-- Belongs to the installation, hence no workspace_id.
CREATE TABLE chores (
    chore        text        PRIMARY KEY,
    due_at       timestamptz NOT NULL DEFAULT '-infinity',
    run          bigint      NOT NULL DEFAULT 0,
    position     text        NOT NULL DEFAULT '',
    succeeded_at timestamptz
) WITH (fillfactor = 50);
INSERT INTO chores (chore) VALUES ('partitions'), ('retention'), ('bodies'), ('erasures');

-- Texts of ended messages are removed after so many days. All messages of the workspace below bodies_removed_to have been
-- looked at; those that were waiting then are in late_bodies.
ALTER TABLE workspaces
    ADD body_retention_days integer NOT NULL DEFAULT 30,
    ADD bodies_removed_to   uuid    NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000';

-- Messages older than their workspace keeps texts that had not ended when it was their turn.
CREATE TABLE late_bodies (
    workspace_id uuid NOT NULL,
    message_id   uuid NOT NULL,
    PRIMARY KEY (workspace_id, message_id)
);

-- Erasures that have not come to their end. Concerned are messages of the contact with ids below the one named; reached is
-- where the pass over them goes on, under_way counts those it found being sent.
CREATE TABLE erasures (
    workspace_id  uuid        NOT NULL,
    contact_id    uuid        NOT NULL,
    requested_at  timestamptz NOT NULL,
    below         uuid        NOT NULL,
    reached       uuid        NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    under_way     bigint      NOT NULL DEFAULT 0,
    pass_began_at timestamptz,
    looked_at     timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, contact_id)
) WITH (fillfactor = 50);

-- A message is inserted, updated once when it ends and once when its texts go. Room for a second version on its page lets
-- these updates leave the five indexes alone: measured from accept to settlement, 4,000 messages of 600 bytes wrote 2,650
-- bytes of log each instead of 3,740 at fillfactor 100 (3,530 at 85, 2,930 at 60), with indexes 40 % smaller and a table 5 %
-- larger. Vacuuming begins at a fiftieth of the table: the usual fifth of a large month would be days of traffic.
ALTER TABLE messages_default SET (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.02
);
-- Only inserted into: vacuumed so that index-only scans and freezing keep up, which costs little.
ALTER TABLE attempts_default SET (autovacuum_vacuum_insert_scale_factor = 0.05);
ALTER TABLE message_tags_default SET (autovacuum_vacuum_insert_scale_factor = 0.05);
-- Inserted into always, deleted from only when a month of messages is dropped: then many rows go at once, and the space
-- must be there for the next ones.
ALTER TABLE message_keys SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
-- A few rows, updated every few seconds by every replica: low fill and an early vacuum keep each of them on one page.
ALTER TABLE serving_replicas SET (
    fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200
);
-- Rows renewed every second by their owner, one a channel.
ALTER TABLE channel_leases SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
