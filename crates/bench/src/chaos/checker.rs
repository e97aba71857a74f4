//! The rules. Each looks at the facts and names what breaks it; none knows what was done to the system.
//!
//! | rule | invariant of the failure model |
//! | --- | --- |
//! | `lost`, `stuck`, `overdue` | I1, I11: what was acknowledged has ended or visibly waits; what is due does not lie about |
//! | `denied` | I1: what is said not to be stored is not |
//! | `cancelled` | I7: what is answered as cancelled is not sent, and stays so |
//! | `unexpected` | I2: one message a key, the same id in every answer, nothing that nobody handed in |
//! | `changed`, `out_of_order` | I3: one upstream id a part, with one content; parts in their order |
//! | `overlapping` | I4 |
//! | `unfenced`, `turned_back` | I5, I7, as far as rows tell |
//! | `early`, `late` | I6 |
//! | `overshooting` | I8 |
//! | `phantom`, `unrecorded` | I14 |

mod answers;

pub(crate) mod index;

mod keeping;

mod sending;

mod timing;

use super::facts::Facts;
use index::Index;
pub(crate) use timing::unrecorded;

/// What was found, by rule: the keys, ids or numbers that it was found of.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Findings {
    /// Messages handed in.
    pub(crate) attempted: usize,
    /// Of those, the ones that the gateway said it has.
    pub(crate) acknowledged: usize,
    /// Stored, though no answer ever said so.
    pub(crate) recovered: usize,
    /// Answers that left it open whether a message was stored.
    pub(crate) unclear: usize,
    /// Acknowledged and neither ended nor waiting, or said to be sent and not with the upstream.
    pub(crate) lost: Vec<String>,
    /// Due, and nobody sends it.
    pub(crate) stuck: Vec<String>,
    /// Waiting for a good reason.
    pub(crate) waiting: usize,
    /// Said to be surely not stored, and stored.
    pub(crate) denied: Vec<String>,
    /// Answered as cancelled, and sent or something else all the same.
    pub(crate) cancelled: Vec<String>,
    /// Nobody handed it in so.
    pub(crate) unexpected: Vec<String>,
    /// Refused, though there was nothing to refuse.
    pub(crate) refused: Vec<String>,
    /// Deliveries of a part beyond its first.
    pub(crate) duplicated: Vec<String>,
    /// Of those, the ones that no attempt with an unknown outcome explains.
    pub(crate) unexplained: Vec<String>,
    /// Calls whose outcome nobody knew: recorded as unknown, or not recorded.
    pub(crate) ambiguous: usize,
    /// Calls that were given up because the message's validity was over.
    pub(crate) cut_short: usize,
    /// Parts that came with two contents, or ids with two parts.
    pub(crate) changed: Vec<String>,
    /// Parts that were called before the one before them was accepted.
    pub(crate) out_of_order: Vec<String>,
    /// Two tries of a part at a time.
    pub(crate) overlapping: Vec<String>,
    /// Results written under an older claim after a newer one.
    pub(crate) unfenced: Vec<String>,
    /// Ended, and later something else.
    pub(crate) turned_back: Vec<String>,
    /// Called before its time.
    pub(crate) early: Vec<String>,
    /// Called after its validity.
    pub(crate) late: Vec<String>,
    /// Tried later than liveness allows.
    pub(crate) overdue: Vec<String>,
    /// Numbers that sent more in a second than their channel may.
    pub(crate) overshooting: Vec<String>,
    /// Numbers whose calls arrived closer together than they were made.
    pub(crate) crowded: usize,
    /// Said to have failed for sure, and delivered.
    pub(crate) misjudged: Vec<String>,
    /// Recorded with an answer, though the upstream saw nothing.
    pub(crate) phantom: Vec<String>,
    /// Calls that the upstream saw and nobody recorded.
    pub(crate) unrecorded: usize,
    /// Calls in all.
    pub(crate) calls: usize,
    /// Parts that were delivered.
    pub(crate) delivered: usize,
    /// From when a message might go to its first call, milliseconds, sorted.
    pub(crate) waits: Vec<i64>,
}

/// Judges the facts.
pub(crate) fn judge(facts: &Facts, channel_rate: usize) -> Findings {
    let index = Index::of(facts);
    let mut findings = Findings {
        calls: facts.calls.len(),
        delivered: index.calls.values().filter(|calls| calls.iter().any(|call| call.accepted)).count(),
        ..Findings::default()
    };
    keeping::judge(facts, &index, &mut findings);
    answers::judge(facts, &index, &mut findings);
    sending::judge(facts, &index, &mut findings);
    timing::judge(facts, &index, channel_rate, &mut findings);
    findings
}

#[cfg(test)]
mod tests;
