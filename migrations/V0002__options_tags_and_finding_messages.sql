-- What a message carries besides its content (options, template, batch), how it is found (contact, reference, batch,
-- tag), how often a recipient may be written to, and settings of workspaces and channels.

ALTER TABLE workspaces
    ADD frequency_cap_messages integer NOT NULL DEFAULT 1,
    ADD frequency_cap_days     integer NOT NULL DEFAULT 1,
    ADD link_parameters        text    NOT NULL DEFAULT '{"utm_source":"tuma","utm_medium":"whatsapp"}',
    ADD posts_per_second       integer NOT NULL DEFAULT 500,
    ADD gets_per_second        integer NOT NULL DEFAULT 50;

ALTER TABLE channels
    ADD longitude_spelling text NOT NULL DEFAULT 'both';

-- An item of a batch that cannot be read may name no recipient.
ALTER TABLE messages
    ALTER contact_id DROP NOT NULL,
    ALTER recipient DROP NOT NULL,
    ADD direction text NOT NULL DEFAULT 'outgoing',
    ADD template  text,
    ADD options   text NOT NULL DEFAULT '{}',
    ADD use_case  text,
    ADD batch_id  uuid;
-- serves store.list.of_contact, store.accept.careful.capped
CREATE INDEX messages_contact ON messages (workspace_id, contact_id, message_id);
-- serves store.list.of_reference
CREATE INDEX messages_reference ON messages (workspace_id, reference, message_id) WHERE reference <> '';
-- serves store.list.of_batch
CREATE INDEX messages_batch ON messages (workspace_id, batch_id, message_id) WHERE batch_id IS NOT NULL;

-- collapse_id is a function of contact and collapse key: of the unclaimed rows with one id only the newest is sent.
ALTER TABLE outbox ADD collapse_id uuid;
-- serves store.accept.careful.collapse
CREATE INDEX outbox_collapse ON outbox (workspace_id, collapse_id) WHERE collapse_id IS NOT NULL;

-- Which messages have a tag, in order of acceptance; partitioned like the messages. Serves store.list.of_tag.
CREATE TABLE message_tags (
    workspace_id uuid NOT NULL,
    tag          text NOT NULL COLLATE "C",
    message_id   uuid NOT NULL,
    PRIMARY KEY (workspace_id, tag, message_id)
) PARTITION BY RANGE (message_id);
CREATE TABLE message_tags_default PARTITION OF message_tags DEFAULT;

-- Messages accepted by tag. A tag has a few rows, one a slot, so that commits side by side seldom wait for each other.
CREATE TABLE tags (
    workspace_id uuid        NOT NULL,
    tag          text        NOT NULL COLLATE "C",
    slot         smallint    NOT NULL,
    messages     bigint      NOT NULL,
    created_at   timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    PRIMARY KEY (workspace_id, tag, slot)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- What was accepted before.
INSERT INTO message_tags (workspace_id, tag, message_id)
SELECT workspace_id, unnest(tags), message_id FROM messages WHERE tags <> '{}';
INSERT INTO tags (workspace_id, tag, slot, messages, created_at, last_used_at)
SELECT t.workspace_id, t.tag, 0, sum(1), min(t.created_at), max(t.created_at)
FROM (SELECT workspace_id, unnest(tags) AS tag, created_at FROM messages WHERE tags <> '{}') t
GROUP BY t.workspace_id, t.tag;
