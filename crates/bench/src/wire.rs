//! HTTP/1.1 with as little work as possible: what load and sink cost is missing to what they measure.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::message::find;

/// Room of a connection's buffer; heads and bodies of the bench are smaller, answers to batches are not.
const BUFFER_BYTES: usize = 64 * 1024;
const HEAD_END: &[u8] = b"\r\n\r\n";
const CONTENT_LENGTH: &[u8] = b"content-length:";
/// Where the status stands in `HTTP/1.1 202 Accepted`.
const STATUS: std::ops::Range<usize> = 9..12;

/// A kept connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// One request or answer in a connection's buffer.
pub(crate) struct Frame {
    /// Where the body begins.
    pub(crate) body: usize,
    /// Where it ends.
    pub(crate) end: usize,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: &str) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        Self::of(stream)
    }

    /// Takes a stream over.
    pub(crate) fn of(stream: TcpStream) -> Result<Self, String> {
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Self { stream, buffer: Vec::with_capacity(BUFFER_BYTES) })
    }

    /// Writes a request and reads its answer; answers the status.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<u16, String> {
        self.write(request).await?;
        let frame = self.read().await?.ok_or("the connection was closed")?;
        let status = self.buffer.get(STATUS).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        self.forget(&frame);
        status.ok_or_else(|| "no status".to_owned())
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).await.map_err(|error| error.to_string())
    }

    /// Reads until a request or answer is whole; `None` when the other side closed in between two.
    pub(crate) async fn read(&mut self) -> Result<Option<Frame>, String> {
        loop {
            if let Some(frame) = frame(&self.buffer)?.filter(|frame| frame.end <= self.buffer.len()) {
                return Ok(Some(frame));
            }
            let read = self.stream.read_buf(&mut self.buffer).await.map_err(|error| error.to_string())?;
            if read == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err("cut".to_owned()) };
            }
        }
    }

    /// The body of a frame.
    pub(crate) fn body(&self, frame: &Frame) -> &[u8] {
        self.buffer.get(frame.body..frame.end).unwrap_or_default()
    }

    /// Drops a frame that has been read.
    pub(crate) fn forget(&mut self, frame: &Frame) {
        // Nearly always the frame is all there is.
        if frame.end >= self.buffer.len() {
            self.buffer.clear();
        } else {
            self.buffer.drain(..frame.end);
        }
    }
}

/// Body and end of the first frame, once its head is whole.
fn frame(bytes: &[u8]) -> Result<Option<Frame>, String> {
    let Some(head) = find(bytes, HEAD_END) else { return Ok(None) };
    let body = head + HEAD_END.len();
    let is_length =
        |line: &&[u8]| line.get(..CONTENT_LENGTH.len()).is_some_and(|name| name.eq_ignore_ascii_case(CONTENT_LENGTH));
    let line = bytes[..head].split(|byte| *byte == b'\n').find(is_length).ok_or("a body without a length")?;
    let length = std::str::from_utf8(&line[CONTENT_LENGTH.len()..]).map_err(|error| error.to_string())?;
    let length: usize = length.trim().parse().map_err(|_| "a length that is no number")?;
    Ok(Some(Frame { body, end: body + length }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_ends_where_its_length_says() {
        let frame_of = |text: &str| frame(text.as_bytes()).expect("a frame").map(|frame| (frame.body, frame.end));
        assert_eq!(frame_of("HTTP/1.1 202 Accepted\r\nContent-Le"), None);
        assert_eq!(frame_of("HTTP/1.1 202 Accepted\r\nContent-Length: 3\r\n\r\nab"), Some((44, 47)));
        assert_eq!(frame_of("POST / HTTP/1.1\r\ncontent-length:0\r\n\r\n"), Some((37, 37)));
        assert!(frame(b"POST / HTTP/1.1\r\nhost: a\r\n\r\n").is_err());
    }
}
