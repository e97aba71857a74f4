//! One connection's talk with PostgreSQL: which answer belongs to which of tuma's statements.
//!
//! tuma's statements are their own transactions: what was bound goes with the next `Sync`, is committed by it, and
//! answered up to the next `ReadyForQuery`. An answer that is to be lost is kept back from its first byte on; when its
//! end has come, the commit is done and nobody knows.

use std::collections::{HashMap, VecDeque};

use super::frames::{Frame, Frames, text};
use super::trap::SEEN_BYTES_MAX;

/// Statements whose answers may be lost; their first lines are names that `store` gives them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Act {
    /// Storing accepted messages.
    Accept,
    /// Taking messages to send.
    Claim,
    /// Writing results.
    Settle,
}

impl Act {
    pub(crate) const ALL: [Self; 3] = [Self::Accept, Self::Claim, Self::Settle];

    /// Its name in verdicts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Claim => "claim",
            Self::Settle => "settle",
        }
    }

    /// First line of the statement.
    fn line(self) -> &'static [u8] {
        match self {
            Self::Accept => b"-- store.accept.accept\n",
            Self::Claim => b"-- store.outbox.claim\n",
            Self::Settle => b"-- store.settle.settle\n",
        }
    }

    fn of_query(query: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|act| query.starts_with(act.line()))
    }
}

/// Statements of one connection that are known by name: tuma prepares a few dozen.
const STATEMENTS_MAX: usize = 1_000;
/// How a statement ends that had nothing to do (PostgreSQL documentation, "CommandComplete").
const NO_ROWS: &[u8] = b" 0\0";
/// Code in place of the version in a request to cancel (PostgreSQL documentation, "CancelRequest").
const CANCEL: [u8; 4] = [0x04, 0xd2, 0x16, 0x2e];

/// What of an answer goes on to the client.
#[derive(Default, PartialEq, Eq, Debug)]
pub(crate) struct Passed {
    pub(crate) bytes: Vec<u8>,
    /// Whether the connection ends here, with the answer to what was committed.
    pub(crate) lost: Option<Act>,
    /// Whether it ends.
    pub(crate) ends: bool,
    /// Acts that were done to something, and whose answers ended in these bytes.
    pub(crate) told: Vec<Act>,
    /// Whether the lost one was.
    pub(crate) has_lost_rows: bool,
    /// What was asked and answered for the last of them.
    pub(crate) seen: Vec<u8>,
}

/// The state of a connection.
#[derive(Debug)]
pub(crate) struct Talk {
    asked: Frames,
    answered: Frames,
    statements: HashMap<Vec<u8>, Act>,
    /// What was bound since the last `Sync`.
    bound: Option<Act>,
    /// What the coming answers belong to, in order.
    expected: VecDeque<Option<Act>>,
    /// What was said since the last `Sync`.
    saying: Vec<u8>,
    /// What was asked and answered for the last act.
    seen: Vec<u8>,
    /// Whether the answer under way is kept back; `None` while it has not begun.
    losing: Option<bool>,
    completed: bool,
    /// Whether what was completed had rows.
    has_rows: bool,
}

impl Talk {
    pub(crate) fn begin() -> Self {
        Self {
            asked: Frames::of_client(),
            answered: Frames::of_server(),
            statements: HashMap::new(),
            bound: None,
            expected: VecDeque::new(),
            saying: Vec::new(),
            seen: Vec::new(),
            losing: None,
            completed: false,
            has_rows: false,
        }
    }

    /// Notes what the client says; answers the acts that it asks to be done.
    pub(crate) fn ask(&mut self, bytes: &[u8]) -> Vec<Act> {
        keep(&mut self.saying, bytes);
        self.asked.feed(bytes).iter().filter_map(|frame| self.note(frame)).collect()
    }

    /// What was asked for the last act, and answered as far as it has come.
    pub(crate) fn seen(&self) -> Vec<u8> {
        self.seen.clone()
    }

    fn note(&mut self, frame: &Frame) -> Option<Act> {
        match frame.kind {
            0 if !frame.head.starts_with(&CANCEL) => self.expected.push_back(None),
            b'P' => {
                if let Some((name, query)) = text(&frame.head)
                    && let Some(act) = Act::of_query(query)
                    && self.statements.len() < STATEMENTS_MAX
                {
                    self.statements.insert(name.to_vec(), act);
                }
            }
            b'B' => {
                let statement = text(&frame.head).and_then(|(_, rest)| text(rest));
                self.bound = statement.and_then(|(name, _)| self.statements.get(name).copied());
            }
            b'S' => {
                let (said, act) = (std::mem::take(&mut self.saying), self.bound.take());
                self.expected.push_back(act);
                if act.is_some() {
                    self.seen = said;
                }
                return act;
            }
            b'Q' => self.expected.push_back(None),
            _ => {}
        }
        None
    }

    /// What goes on of the server's bytes; `lose` says of an answer that begins whether it is lost.
    pub(crate) fn answer(&mut self, bytes: &[u8], mut lose: impl FnMut(Act) -> bool) -> Passed {
        let mut passed = Passed::default();
        let mut begin = 0;
        for frame in self.answered.feed(bytes) {
            let is_losing = self.is_losing(&mut lose);
            if matches!(self.expected.front(), Some(Some(_))) {
                keep(&mut self.seen, &bytes[begin..frame.end]);
            }
            if !is_losing {
                passed.bytes.extend_from_slice(&bytes[begin..frame.end]);
            }
            begin = frame.end;
            if frame.kind == b'C' {
                (self.completed, self.has_rows) = (true, !frame.head.ends_with(NO_ROWS));
            }
            if frame.kind == b'Z' {
                let act = self.expected.pop_front().flatten().filter(|_| self.completed);
                if act.is_some() {
                    passed.seen = self.seen.clone();
                }
                if is_losing {
                    return Passed { lost: act, has_lost_rows: self.has_rows, ends: true, ..passed };
                }
                passed.told.extend(act.filter(|_| self.has_rows));
                (self.losing, self.completed, self.has_rows) = (None, false, false);
            }
        }
        if begin < bytes.len() {
            if !self.is_losing(&mut lose) {
                passed.bytes.extend_from_slice(&bytes[begin..]);
            }
            if matches!(self.expected.front(), Some(Some(_))) {
                keep(&mut self.seen, &bytes[begin..]);
            }
        }
        passed
    }

    /// Decides once an answer, when its first byte has come.
    fn is_losing(&mut self, lose: &mut impl FnMut(Act) -> bool) -> bool {
        // What comes unasked (a notification) belongs to no answer.
        let Some(act) = self.expected.front() else { return false };
        *self.losing.get_or_insert_with(|| act.is_some_and(lose))
    }
}

/// Adds to what is remembered of an act, within its bound.
fn keep(seen: &mut Vec<u8>, bytes: &[u8]) {
    let room = SEEN_BYTES_MAX.saturating_sub(seen.len());
    seen.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::proxy::frames::made::{bind, message, parse, startup};

    fn sync() -> Vec<u8> {
        message(b'S', b"")
    }

    fn ready() -> Vec<u8> {
        message(b'Z', b"I")
    }

    /// A connection on which the accepting statement is prepared as `s1` and another as `s2`.
    fn prepared() -> Talk {
        let mut talk = Talk::begin();
        let accept = parse("s1", "-- store.accept.accept\nWITH input AS (SELECT 1)");
        let other = parse("s2", "-- store.accept.stored\nSELECT 1");
        talk.ask(&[startup(), accept, sync(), other, sync()].concat());
        for _ in 0..3 {
            let answer = [message(b'1', b""), ready()].concat();
            assert_eq!(talk.answer(&answer, |_| true).bytes, answer, "preparing is not executing");
        }
        talk
    }

    fn executed(statement: &str) -> Vec<u8> {
        [bind(statement), message(b'E', b"\0\0\0\0\0"), sync()].concat()
    }

    fn done() -> Vec<u8> {
        [message(b'2', b""), message(b'D', b"\0\0"), message(b'C', b"INSERT 0 1\0"), ready()].concat()
    }

    #[test]
    fn the_answer_to_a_commit_is_lost_after_it_was_made_and_nothing_before_it() {
        for size in [1, 4, 9, 1000] {
            let mut talk = prepared();
            talk.ask(&[executed("s2"), executed("s1")].concat());
            let stream = [done(), done()].concat();
            let (mut bytes, mut lost) = (Vec::new(), None);
            for piece in stream.chunks(size) {
                let passed = talk.answer(piece, |act| act == Act::Accept);
                bytes.extend(passed.bytes);
                lost = lost.or(passed.lost);
                assert_eq!(passed.ends, lost.is_some());
            }
            assert_eq!((bytes, lost), (done(), Some(Act::Accept)), "in pieces of {size}");
        }
    }

    #[test]
    fn a_statement_that_failed_counts_as_no_lost_commit() {
        let mut talk = prepared();
        talk.ask(&executed("s1"));
        let passed = talk.answer(&[message(b'E', b"SERROR\0\0"), ready()].concat(), |_| true);
        assert_eq!(passed, Passed { ends: true, ..Passed::default() });
    }

    #[test]
    fn what_was_asked_and_answered_for_an_act_is_known_when_it_is_done() {
        for size in [1, 9, 1000] {
            let mut talk = prepared();
            let (mut acts, mut told) = (Vec::new(), None);
            executed("s2").chunks(size).for_each(|piece| acts.extend(talk.ask(piece)));
            talk.answer(&done(), |_| false);
            executed("s1").chunks(size).for_each(|piece| acts.extend(talk.ask(piece)));
            assert_eq!((acts, talk.seen()), (vec![Act::Accept], executed("s1")), "in pieces of {size}");
            for piece in done().chunks(size) {
                let passed = talk.answer(piece, |_| false);
                told = told.or(passed.told.first().map(|act| (*act, passed.seen)));
            }
            let both = [executed("s1"), done()].concat();
            assert_eq!(told, Some((Act::Accept, both)), "in pieces of {size}");
        }
    }

    #[test]
    fn what_comes_unasked_goes_through() {
        let mut talk = prepared();
        let notice = message(b'A', b"\0\0\0\x01tuma\0due\0");
        assert_eq!(talk.answer(&notice, |_| true).bytes, notice);
    }

    #[test]
    fn every_act_is_found_by_the_statement_that_store_has() {
        let sources = [
            (Act::Accept, include_str!("../../../../store/src/accept.rs")),
            (Act::Claim, include_str!("../../../../store/src/outbox.rs")),
            (Act::Settle, include_str!("../../../../store/src/settle.rs")),
        ];
        for (act, source) in sources {
            let line = String::from_utf8_lossy(act.line()).into_owned();
            assert!(source.contains(&format!("\"{line}")), "{act:?}");
        }
    }
}
