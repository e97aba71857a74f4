-- Processes that answer requests: they share the request limits of workspaces. Belongs to the installation, hence no
-- workspace_id. Unlogged: rows are renewed every few seconds and mean nothing after a crash of the database.
CREATE UNLOGGED TABLE serving_replicas (
    replica_id uuid        PRIMARY KEY,
    seen_at    timestamptz NOT NULL
);
