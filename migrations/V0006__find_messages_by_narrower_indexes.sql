-- Ids of channels, contacts and batches are of one workspace each, so the indexes need not name it. Where they did, a
-- message asked for by workspace and id was looked for along them while the planner knew nothing of the table yet, as on the
-- first day of a month: a walk over all messages of the workspace. They are smaller, too.
DROP INDEX messages_channel;
DROP INDEX messages_contact;
DROP INDEX messages_batch;
-- serves store.list
CREATE INDEX messages_channel ON messages (channel_id, message_id);
-- serves store.list, store.accept.careful.counted
CREATE INDEX messages_contact ON messages (contact_id, message_id);
-- serves store.list
CREATE INDEX messages_batch ON messages (batch_id, message_id) WHERE batch_id IS NOT NULL;
