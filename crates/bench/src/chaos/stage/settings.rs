//! Settings that a scenario changes while it plays.

use std::time::Duration;

use serde_json::{Value, json};

use super::Stage;
use crate::chaos::scenario::rest;

/// A change is asked for so often, with this pause: as long as a load takes to find its pace.
const TRIES_MAX: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

impl Stage {
    /// Closes a channel for a time of the day in a zone, every day.
    pub(crate) async fn close_daily(&self, channel: usize, zone: &str, window: (String, String)) -> Result<(), String> {
        let (base, door) = self.bases.first().zip(self.doors.get(channel)).ok_or("no such channel")?;
        let quiet_hours = json!({
            "timeZone": zone, "recipientTimeZone": false, "appliesTo": ["transactional"], "spreadSeconds": 0,
            "windows": [{ "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "start": window.0, "end": window.1 }]
        });
        let request = self.http.put(format!("{base}{}/quiet-hours", door.path));
        let request = request.header("authorization", format!("AccessKey {}", door.access_key));
        self.send(request, &quiet_hours).await.map(drop)
    }

    /// Limits what all channels, which are of one account, send together.
    pub(crate) async fn limit_account(&self, messages_per_second: usize) -> Result<(), String> {
        for door in &self.doors {
            let limit = json!({ "accountMessagesPerSecond": messages_per_second });
            self.insist(&format!("/admin{}", door.path), &limit).await?;
        }
        Ok(())
    }

    /// Asks for a change until it is made: a busy machine may have no connection for it at once.
    async fn insist(&self, path: &str, change: &Value) -> Result<(), String> {
        let mut tries = 1;
        while let Err(why) = self.change(path, change).await {
            if tries == TRIES_MAX {
                return Err(why);
            }
            tries += 1;
            rest(PAUSE).await;
        }
        Ok(())
    }
}
