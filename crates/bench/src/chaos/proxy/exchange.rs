//! One connection's talk with the upstream: where requests and answers begin and end.
//!
//! HTTP/1.1 with lengths that are said beforehand: tuma's client and the sandbox both do that. An answer without one counts
//! as ended with its head, which only shifts where a trap would spring.

use super::trap::{Point, SEEN_BYTES_MAX, Sprung, Trap};

/// Ends a head.
const HEAD_END: &[u8] = b"\r\n\r\n";
/// Says how long a body is.
const LENGTH: &str = "content-length:";
/// A head that is longer is no head that tuma or the sandbox sends.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What is at a place of the bytes that were fed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mark {
    /// The first byte of a message.
    Begin,
    /// Its body begins.
    Body,
    /// It has ended.
    End,
}

/// Finds messages in a stream that comes in pieces.
#[derive(Debug, Default)]
struct Messages {
    /// The head under way, as far as it came.
    head: Vec<u8>,
    /// Bytes of the body that are to come; `None` within a head.
    left: Option<usize>,
}

impl Messages {
    fn feed(&mut self, bytes: &[u8]) -> Vec<(Mark, usize)> {
        let (mut marks, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let left = if let Some(left) = self.left {
                left
            } else {
                if self.head.is_empty() {
                    marks.push((Mark::Begin, at));
                }
                let came = self.head.len();
                self.head.extend_from_slice(&bytes[at..]);
                let from = came.saturating_sub(HEAD_END.len());
                let end = self.head[from..].windows(HEAD_END.len()).position(|some| some == HEAD_END);
                let Some(end) = end.map(|end| from + end + HEAD_END.len()) else {
                    self.head.truncate(HEAD_BYTES_MAX);
                    return marks;
                };
                self.head.truncate(end);
                at += end - came;
                marks.push((Mark::Body, at));
                length(&self.head)
            };
            let taken = left.min(bytes.len() - at);
            at += taken;
            if taken < left {
                self.left = Some(left - taken);
                return marks;
            }
            marks.push((Mark::End, at));
            self.head.clear();
            self.left = None;
        }
        marks
    }
}

/// The length that a head says its body has.
fn length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = head.lines().find_map(|line| line.strip_prefix(LENGTH));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or_default()
}

/// What goes on of some bytes, and whether the connection is caught with it.
#[derive(Debug, Default)]
pub(super) struct Passing {
    pub(super) bytes: Vec<u8>,
    pub(super) caught: Option<(Sprung, Vec<u8>)>,
}

/// The state of a connection.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    requests: Messages,
    answers: Messages,
    /// The request under way, or the last one.
    request: Vec<u8>,
    /// Requests so far.
    begun: u64,
    /// Caught before the request was read, which says whose it is.
    sprung: Option<Sprung>,
}

impl Exchange {
    /// What goes on of a request's bytes.
    pub(super) fn ask(&mut self, bytes: &[u8], trap: &Trap) -> Passing {
        let mut passes = if self.sprung.is_some() { 0 } else { bytes.len() };
        let mut begin = 0;
        for (mark, at) in self.requests.feed(bytes) {
            match mark {
                Mark::Begin => {
                    (begin, self.begun) = (at, self.begun + 1);
                    self.request.clear();
                    let is_first = self.begun == 1;
                    if let Some(sprung) = is_first.then(|| trap.takes(Point::Connected)).flatten() {
                        (passes, self.sprung) = (at, Some(sprung));
                    } else if let Some(sprung) = trap.takes(Point::FirstByte) {
                        (passes, self.sprung) = (at + 1, Some(sprung));
                    }
                }
                Mark::Body => {}
                Mark::End => {
                    self.keep(&bytes[begin..at]);
                    begin = at;
                    let sprung = self.sprung.take().or_else(|| {
                        let sprung = trap.takes(Point::AllButLast)?;
                        passes = at - 1;
                        Some(sprung)
                    });
                    if let Some(sprung) = sprung {
                        return Passing {
                            bytes: bytes[..passes].to_vec(),
                            caught: Some((sprung, self.request.clone())),
                        };
                    }
                }
            }
        }
        self.keep(&bytes[begin..]);
        Passing { bytes: bytes[..passes].to_vec(), caught: None }
    }

    /// What goes on of an answer's bytes.
    pub(super) fn answer(&mut self, bytes: &[u8], trap: &Trap) -> Passing {
        for (mark, at) in self.answers.feed(bytes) {
            let point = match mark {
                Mark::Begin => Point::LastByte,
                Mark::Body => Point::Head,
                Mark::End => Point::Answered,
            };
            if let Some(sprung) = trap.takes(point) {
                return Passing { bytes: bytes[..at].to_vec(), caught: Some((sprung, self.request.clone())) };
            }
        }
        Passing { bytes: bytes.to_vec(), caught: None }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = SEEN_BYTES_MAX.saturating_sub(self.request.len());
        self.request.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"POST /x HTTP/1.1\r\nhost: a\r\nContent-Length: 4\r\n\r\nbody";
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    /// What went on of a request and its answer, both in pieces, when a trap waited at a point; and what it saw.
    fn check(point: Point, asked: &[u8], answered: &[u8]) {
        for size in [1, 3, 7, 1000] {
            let (trap, mut exchange) = (Trap::default(), Exchange::default());
            let mut heard = trap.arm(point, 0);
            let (mut there, mut back, mut seen) = (Vec::new(), Vec::new(), None);
            for piece in REQUEST.chunks(size) {
                if seen.is_some() {
                    break;
                }
                let passing = exchange.ask(piece, &trap);
                there.extend(passing.bytes);
                if let Some((sprung, bytes)) = passing.caught {
                    sprung.tell(1, bytes.clone());
                    seen = Some(bytes);
                }
            }
            for piece in ANSWER.chunks(size) {
                if seen.is_some() {
                    break;
                }
                let passing = exchange.answer(piece, &trap);
                back.extend(passing.bytes);
                if let Some((sprung, bytes)) = passing.caught {
                    sprung.tell(1, bytes.clone());
                    seen = Some(bytes);
                }
            }
            assert_eq!((there.as_slice(), back.as_slice()), (asked, answered), "{point:?} in pieces of {size}");
            assert_eq!(heard.try_recv().expect("told").seen, REQUEST, "{point:?} in pieces of {size}");
        }
    }

    #[test]
    fn a_connection_is_caught_at_the_byte_that_the_point_names() {
        let head = ANSWER.len() - 2;
        check(Point::Connected, b"", b"");
        check(Point::FirstByte, &REQUEST[..1], b"");
        check(Point::AllButLast, &REQUEST[..REQUEST.len() - 1], b"");
        check(Point::LastByte, REQUEST, b"");
        check(Point::Head, REQUEST, &ANSWER[..head]);
        check(Point::Answered, REQUEST, ANSWER);
    }

    #[test]
    fn without_a_trap_all_goes_on_and_a_second_request_is_no_new_connection() {
        let (trap, mut exchange) = (Trap::default(), Exchange::default());
        for _ in 0..2 {
            assert_eq!(exchange.ask(REQUEST, &trap).bytes, REQUEST);
            assert_eq!(exchange.answer(ANSWER, &trap).bytes, ANSWER);
        }
        let mut heard = trap.arm(Point::Connected, 0);
        assert_eq!(exchange.ask(REQUEST, &trap).bytes, REQUEST);
        assert!(heard.try_recv().is_err());
    }
}
