//! Accepting messages a hundred a call, by a gateway that only takes requests.

use serde_json::{Value, json};

use super::Size;
use super::accept::rates;
use crate::bed::Bed;
use crate::load::Prepared;
use crate::message;

const CONNECTIONS: [usize; 4] = [1, 4, 16, 32];
/// The most that a batch may hold.
const MESSAGES_A_CALL: usize = domain::limits::BATCH_MESSAGES_MAX;

/// Measures the scenario.
pub(crate) async fn measure(size: Size) -> Result<Value, String> {
    let bed = Bed::make().await?;
    let authorization = format!("AccessKey {}", bed.tenant.access_key);
    let body = json!({ "messageRequests": vec![message::request(); MESSAGES_A_CALL] });
    let request = Prepared::post(&bed.batch_path(bed.tenant.channel.id), &authorization, &body.to_string());
    let results = rates(&bed, &request, &CONNECTIONS, size).await?;
    bed.remove().await?;
    Ok(results)
}
