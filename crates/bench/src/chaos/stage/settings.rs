//! Settings that a scenario changes while it plays.

use serde_json::json;

use super::Stage;

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
            self.change(&format!("/admin{}", door.path), &limit).await?;
        }
        Ok(())
    }
}
