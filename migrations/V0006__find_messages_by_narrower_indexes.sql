-- Ids of channels, contacts and batches are of one workspace each, so the indexes need not name it. Where they did, a
-- message asked for by workspace and id was looked for along them while the planner knew nothing of the table yet, as on the
-- first day of a month: a walk over all messages of the workspace. They are smaller, too.
--
-- Nothing is accepted or sent while the new ones are built; reading goes on until they take the place of the old ones.

-- serves store.list
CREATE INDEX messages_channel_new ON messages (channel_id, message_id);
-- serves store.list, store.accept.careful.counted, store.erasure.step
CREATE INDEX messages_contact_new ON messages (contact_id, message_id);
-- serves store.list
CREATE INDEX messages_batch_new ON messages (batch_id, message_id) WHERE batch_id IS NOT NULL;
DROP INDEX messages_channel;
DROP INDEX messages_contact;
DROP INDEX messages_batch;
ALTER INDEX messages_channel_new RENAME TO messages_channel;
ALTER INDEX messages_contact_new RENAME TO messages_contact;
ALTER INDEX messages_batch_new RENAME TO messages_batch;
