//! Reads the sandbox's journal.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use super::Call;

/// A line, as far as it is of use here.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Line {
    Started {},
    Arrived {
        seq: u64,
        at: i64,
        message_id: Option<String>,
        from: Option<String>,
        body_hash: String,
        accepted: bool,
        answer_status: Option<u16>,
        outcome: String,
    },
    Ended {
        seq: u64,
        at: i64,
    },
    Reset {},
}

/// All calls, in the order they arrived.
pub(crate) fn read(path: &Path) -> Result<Vec<Call>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    calls(&text)
}

fn calls(text: &str) -> Result<Vec<Call>, String> {
    let mut calls = Vec::new();
    // By the number that counts from the last start.
    let mut open: HashMap<u64, usize> = HashMap::new();
    for line in text.lines() {
        let line: Line = match serde_json::from_str(line) {
            Ok(line) => line,
            // A sandbox that is killed may leave half a line, which the next one ends.
            Err(error) if error.is_eof() => continue,
            Err(error) => return Err(format!("the journal says {line:?}: {error}")),
        };
        match line {
            Line::Started {} => open.clear(),
            Line::Arrived { seq, at, message_id, from, body_hash, accepted, answer_status, outcome } => {
                open.insert(seq, calls.len());
                let from = from.unwrap_or_default();
                let (part, ended_at) = (message_id, None);
                calls.push(Call { at, ended_at, part, from, body_hash, accepted, answer_status, outcome });
            }
            Line::Ended { seq, at } => {
                if let Some(call) = open.remove(&seq).and_then(|place| calls.get_mut(place)) {
                    call.ended_at = Some(at);
                }
            }
            Line::Reset {} => return Err("the journal was reset in the middle of a run".to_owned()),
        }
    }
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_belong_to_the_start_they_were_written_under() {
        let arrived = |seq, id: &str| {
            format!(
                r#"{{"event":"arrived","seq":{seq},"at":{seq},"micros":0,"connection":1,"path":"/","messageId":"{id}","from":"1","to":"2","bodyHash":"h","bodyBytes":1,"outcome":"sent","fault":null,"accepted":true,"answerStatus":200,"delivered":null}}"#
            )
        };
        let (start, end) = (r#"{"event":"started","at":0}"#, r#"{"event":"ended","seq":1,"at":9,"micros":1}"#);
        let text = [start, &arrived(1, "a"), r#"{"event":"arr"#, start, &arrived(1, "b"), end].join("\n");
        let found = calls(&text).expect("calls");
        let ends: Vec<_> = found.iter().map(|call| (call.part.as_deref(), call.ended_at)).collect();
        assert_eq!(ends, [(Some("a"), None), (Some("b"), Some(9))]);
        assert!(calls(r#"{"event":"invented"}"#).is_err());
    }
}
