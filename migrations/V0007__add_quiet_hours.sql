-- Quiet hours as JSON (domain::quiet_hours); a channel's stand in place of its workspace's. What a channel's messages are
-- held by may change (quiet hours, pauses): then what was held is planned anew by the channel's owner. holds_changed_at says
-- since when, holds_planned_at when that was done last.
ALTER TABLE workspaces ADD quiet_hours text;
ALTER TABLE channels
    ADD quiet_hours      text,
    ADD holds_changed_at timestamptz,
    ADD holds_planned_at timestamptz;
