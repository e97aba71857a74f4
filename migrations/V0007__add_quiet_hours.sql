-- Quiet hours as JSON (domain::quiet_hours); a channel's stand in place of its workspace's. What was held or released by
-- former ones is planned anew by the channel's owner: quiet_hours_changed_at says since when, quiet_hours_planned_at when
-- that was done last.
ALTER TABLE workspaces ADD quiet_hours text;
ALTER TABLE channels
    ADD quiet_hours            text,
    ADD quiet_hours_changed_at timestamptz,
    ADD quiet_hours_planned_at timestamptz;
