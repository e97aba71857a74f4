-- What tells that the database was put back in time, and what a provider does with a repeated id.

-- lived_seconds is the time for which any process was alive. It only rises, also when the clock is set, so one that is less
-- than what a process remembers comes from a backup. Each release by an operator is counted: what is remembered from before
-- it counts no more. While held_reason is set nothing is claimed.
ALTER TABLE installation
    ADD lived_seconds     double precision NOT NULL DEFAULT 0,
    ADD lived_at          timestamptz      NOT NULL DEFAULT clock_timestamp(),
    ADD system_identifier bigint,
    ADD releases          bigint           NOT NULL DEFAULT 0,
    ADD held_reason       text             CHECK (held_reason IN ('restored', 'other_server')),
    ADD held_since        timestamptz;

-- How the provider answers a repeated messageId, as `tuma probe` found out: with the first result, as an error, or by sending
-- a second time.
ALTER TABLE channels
    ADD duplicates           text CHECK (duplicates IN ('same', 'error', 'second', 'unclear')),
    ADD duplicates_probed_at timestamptz;
