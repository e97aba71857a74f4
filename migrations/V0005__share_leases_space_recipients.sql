-- Who sends, and when: one lease for all channels of a replica, channels that share a provider account's limit, weights of
-- workspaces, spacing of messages to one recipient; claims that leave the indexes of the outbox alone.

-- A replica's lease: while it lasts, its channels are its own. One row is renewed, however many channels there are. A busy
-- replica looks often at whether others are still there, and so do they.
ALTER TABLE replicas
    ADD lease_expires_at timestamptz NOT NULL DEFAULT '-infinity',
    ADD is_busy          boolean     NOT NULL DEFAULT false;
ALTER TABLE replicas SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- free_since is when the last owner gave the channel up.
ALTER TABLE channel_leases
    DROP expires_at,
    ADD free_since timestamptz NOT NULL DEFAULT clock_timestamp();

-- account_id is the same for channels with the same provider key. If one of them names an account limit, they are all sent by
-- one replica, and together not faster than the least of these limits.
ALTER TABLE channels
    ADD account_id                  uuid,
    ADD account_messages_per_second integer,
    ADD recipient_interval_seconds  integer NOT NULL DEFAULT 6,
    ADD recipient_burst             integer NOT NULL DEFAULT 45;

-- Share of a workspace where several contend for one account's limit.
ALTER TABLE workspaces
    ADD weight integer NOT NULL DEFAULT 1;

-- A claimed row keeps its due_at, so that claiming writes no index entry; the claim lapses at claimed_until. Room on each
-- page for the claimed version of every row on it.
ALTER TABLE outbox
    ADD claimed_until timestamptz;
UPDATE outbox SET claimed_until = due_at WHERE due_reason = 'claimed';
ALTER TABLE outbox SET (fillfactor = 45);
