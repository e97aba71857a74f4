//! Machines whose clocks are wrong.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::{BEFORE, Strike};
use crate::chaos::process::Signal;
use crate::chaos::scenario::rest;
use crate::chaos::verdict::Struck;

/// The clocks of the first two replicas, seconds beside the right one; the third has it.
const WRONG_BY: [i64; 2] = [3_600, -3_600];
/// Load while they are wrong: longer than a message is scheduled ahead.
const WRONG_FOR: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));
/// Where libraries are, and the one in a folder of its own below them (Debian's package `faketime`) that changes what a process sees.
const LIBRARIES: [&str; 2] = ["/usr/lib", "/usr/lib64"];
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";
const NO_LIBRARY: &str = "clocks cannot be shifted here: install the package faketime";

/// Why clocks cannot be wrong on this machine, if they cannot.
pub(crate) fn hindrance() -> Option<String> {
    library().is_none().then(|| NO_LIBRARY.to_owned())
}

/// Replicas start again with wrong clocks; the monotonic one is left alone, as on a machine whose clock is set wrong.
pub(crate) async fn shift(strike: &mut Strike<'_>) -> Result<Struck, String> {
    let library = library().ok_or(NO_LIBRARY)?;
    rest(BEFORE).await;
    for (number, seconds) in WRONG_BY.into_iter().enumerate() {
        let replica = &mut strike.stage.replicas[number];
        replica.signal(Signal::Terminate)?;
        if !replica.ended().await? {
            return Err(format!("replica {number} did not end well"));
        }
        replica.tell([
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME", format!("{seconds:+}")),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]);
        replica.start_again()?;
        strike.stage.replica_ready(number).await?;
    }
    rest(strike.tier.pick(WRONG_FOR.0, WRONG_FOR.1)).await;
    Ok(Struck::with(WRONG_BY.len() as u64, json!({ "wrongBySeconds": WRONG_BY }), Vec::new()))
}

/// The library that shows a process another time.
fn library() -> Option<PathBuf> {
    LIBRARIES.iter().find_map(|folder| {
        let own = Path::new(folder).join(LIBRARY);
        let below = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path().join(LIBRARY));
        below.chain([own]).find(|path| path.exists())
    })
}
