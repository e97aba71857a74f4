//! PostgreSQL's messages, as far as it takes to find where one ends (PostgreSQL documentation, "Message Formats").
//!
//! A message is a byte that names its kind, a length that counts itself, and that much more. What a client sends first
//! has no kind.

/// Kept of a message: a statement's name and its first line.
const HEAD_BYTES_MAX: usize = 256;
/// Bytes of a length.
const LENGTH_BYTES: usize = 4;

/// A message that has come to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Frame {
    /// Its kind; zero for the first one of a client.
    pub(crate) kind: u8,
    /// The beginning of its body.
    pub(crate) head: Vec<u8>,
    /// Where it ends in the bytes that were fed.
    pub(crate) end: usize,
}

/// Finds messages in a stream that comes in pieces.
#[derive(Debug)]
pub(crate) struct Frames {
    /// Kind and length of the message under way, as far as they came.
    prefix: Vec<u8>,
    /// Whether the next message has a kind.
    has_kind: bool,
    /// Bytes of its body that are to come; `None` before its length is known.
    left: Option<usize>,
    head: Vec<u8>,
}

impl Frames {
    /// Of a client, which begins with a message without a kind.
    pub(crate) fn of_client() -> Self {
        Self { prefix: Vec::new(), has_kind: false, left: None, head: Vec::new() }
    }

    /// Of a server.
    pub(crate) fn of_server() -> Self {
        Self { has_kind: true, ..Self::of_client() }
    }

    /// Takes in what came; answers the messages that ended in it.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut at = 0;
        loop {
            let left = match self.left {
                Some(left) => left,
                None => {
                    let wanted = usize::from(self.has_kind) + LENGTH_BYTES - self.prefix.len();
                    let some = bytes.get(at..).unwrap_or_default();
                    let taken = &some[..wanted.min(some.len())];
                    self.prefix.extend_from_slice(taken);
                    at += taken.len();
                    if taken.len() < wanted {
                        return frames;
                    }
                    self.body_bytes()
                }
            };
            let some = bytes.get(at..).unwrap_or_default();
            let taken = &some[..left.min(some.len())];
            let room = HEAD_BYTES_MAX - self.head.len();
            self.head.extend_from_slice(&taken[..taken.len().min(room)]);
            at += taken.len();
            if taken.len() < left {
                self.left = Some(left - taken.len());
                return frames;
            }
            let kind = if self.has_kind { self.prefix.first().copied().unwrap_or_default() } else { 0 };
            frames.push(Frame { kind, head: std::mem::take(&mut self.head), end: at });
            self.prefix.clear();
            (self.has_kind, self.left) = (true, None);
        }
    }

    /// Bytes that follow the prefix.
    fn body_bytes(&self) -> usize {
        let digits = self.prefix.get(usize::from(self.has_kind)..).unwrap_or_default();
        let length = digits.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        length.saturating_sub(LENGTH_BYTES)
    }
}

/// A text that ends with a zero, and what follows it.
pub(crate) fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// Messages for tests.
#[cfg(test)]
pub(crate) mod made {
    pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).expect("short").to_be_bytes();
        [&[kind][..], &length, body].concat()
    }

    pub(crate) fn startup() -> Vec<u8> {
        message(0, b"\x00\x03\x00\x00user\x00tuma\x00\x00")[1..].to_vec()
    }

    pub(crate) fn parse(name: &str, query: &str) -> Vec<u8> {
        message(b'P', format!("{name}\0{query}\0\0\0").as_bytes())
    }

    pub(crate) fn bind(statement: &str) -> Vec<u8> {
        message(b'B', format!("\0{statement}\0\0\0").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stream: &[u8], sizes: usize, mut frames: Frames, expected: &[(u8, &[u8])]) {
        let mut found = Vec::new();
        for piece in stream.chunks(sizes) {
            found.extend(frames.feed(piece).into_iter().map(|frame| (frame.kind, frame.head)));
        }
        let expected: Vec<_> = expected.iter().map(|(kind, head)| (*kind, head.to_vec())).collect();
        assert_eq!(found, expected, "in pieces of {sizes}");
    }

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let (long, sync) = (vec![7; 1000], made::message(b'S', b""));
        let stream = [made::startup(), made::message(b'd', &long), sync, made::message(b'X', b"ab")].concat();
        let startup = &made::startup()[4..];
        for sizes in [1, 2, 3, 5, 7, 64, 4096] {
            let expected = [(0, startup), (b'd', &long[..HEAD_BYTES_MAX]), (b'S', &b""[..]), (b'X', &b"ab"[..])];
            check(&stream, sizes, Frames::of_client(), &expected);
        }
        check(&made::message(b'Z', b"I"), 2, Frames::of_server(), &[(b'Z', b"I")]);
    }

    #[test]
    fn a_message_tells_where_it_ends_in_the_piece() {
        let stream = [made::message(b'C', b"SELECT 1\0"), made::message(b'Z', b"I")].concat();
        let ends: Vec<usize> = Frames::of_server().feed(&stream).iter().map(|frame| frame.end).collect();
        assert_eq!(ends, [14, 20]);
    }
}
