//! Accepting messages a hundred a call, by a gateway that only takes requests.

use serde_json::Value;

use super::Size;
use super::accept::rates;
use crate::bed::Bed;
use crate::program::batch;

const CONNECTIONS: [usize; 4] = [1, 4, 16, 32];

/// Measures the scenario.
pub(crate) async fn measure(size: Size) -> Result<Value, String> {
    let bed = Bed::make().await?;
    let results = rates(&bed, batch(&bed), &CONNECTIONS, size).await?;
    bed.remove().await?;
    Ok(results)
}
