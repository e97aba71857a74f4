//! One HTTP/1.1 request, read from a connection with every size bounded.
//!
//! It knows framing (length, chunks, keep-alive) and the few headers that matter, but no endpoint.
//! Whatever bytes come in, reading ends: with a request, with a status to refuse by, or with the
//! connection's end.

use std::io;

use bytes::{Buf, BytesMut};
use httparse::Status;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest request line and headers: twice what common servers take.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most headers of a request.
const HEADERS_MAX: usize = 64;
/// Longest body: Lipachat's is not documented; no message comes near it.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Longest line that announces a chunk, or trailer.
const CHUNK_LINE_BYTES_MAX: usize = 1024;

/// A request as received.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path without query, not decoded.
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) api_key: Option<String>,
    pub(crate) content_type: Option<String>,
    /// Whether the peer wants to send another one on this connection.
    pub(crate) keep_alive: bool,
    pub(crate) body: Vec<u8>,
}

/// Why there is no request.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The connection ended within a request.
    Lost,
    /// It cannot be understood; to be refused with this status.
    Refused(u16),
}

impl From<io::Error> for ReadError {
    fn from(_: io::Error) -> Self {
        Self::Lost
    }
}

#[derive(Debug)]
struct Head {
    request: Request,
    framing: Framing,
    expects_continue: bool,
}

#[derive(Debug, Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
}

/// Reads the next request; `None` when the peer closed the connection between two.
pub(crate) async fn read(stream: &mut TcpStream, buffer: &mut BytesMut) -> Result<Option<Request>, ReadError> {
    let Some(head) = read_head(stream, buffer).await? else {
        return Ok(None);
    };
    if head.expects_continue && buffer.is_empty() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let mut request = head.request;
    request.body = match head.framing {
        Framing::Length(length) => read_length(stream, buffer, length).await?,
        Framing::Chunked => read_chunks(stream, buffer).await?,
    };
    Ok(Some(request))
}

async fn read_head(stream: &mut TcpStream, buffer: &mut BytesMut) -> Result<Option<Head>, ReadError> {
    loop {
        if let Some((head, length)) = parse_head(buffer)? {
            buffer.advance(length);
            return Ok(Some(head));
        }
        if buffer.len() >= HEAD_BYTES_MAX {
            return Err(ReadError::Refused(431));
        }
        let was_empty = buffer.is_empty();
        if stream.read_buf(buffer).await? == 0 {
            return if was_empty { Ok(None) } else { Err(ReadError::Lost) };
        }
    }
}

/// The head at the start of `bytes` and its length; `None` while it is incomplete.
fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, ReadError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(bytes) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(ReadError::Refused(431)),
        Err(httparse::Error::Version) => return Err(ReadError::Refused(505)),
        Err(_) => return Err(ReadError::Refused(400)),
    };
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(ReadError::Refused(400));
    };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (target, None),
    };
    let mut head = Head {
        request: Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query,
            api_key: None,
            content_type: None,
            keep_alive: version == 1,
            body: Vec::new(),
        },
        framing: Framing::Length(0),
        expects_continue: false,
    };
    read_headers(&mut head, parsed.headers)?;
    Ok(Some((head, length)))
}

fn read_headers(head: &mut Head, headers: &[httparse::Header<'_>]) -> Result<(), ReadError> {
    let mut length: Option<usize> = None;
    let mut chunked = false;
    for header in headers {
        let name = header.name;
        let value = String::from_utf8_lossy(header.value);
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            let this = parse_length(value)?;
            if length.is_some_and(|other| other != this) {
                return Err(ReadError::Refused(400));
            }
            length = Some(this);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case("chunked") {
                return Err(ReadError::Refused(501));
            }
            chunked = true;
        } else if name.eq_ignore_ascii_case("connection") {
            head.request.keep_alive = keep_alive(value, head.request.keep_alive);
        } else if name.eq_ignore_ascii_case("expect") {
            head.expects_continue = value.eq_ignore_ascii_case("100-continue");
        } else if name.eq_ignore_ascii_case("apikey") {
            head.request.api_key = Some(value.to_owned());
        } else if name.eq_ignore_ascii_case("content-type") {
            head.request.content_type = Some(value.to_owned());
        }
    }
    head.framing = match (length, chunked) {
        (Some(_), true) => return Err(ReadError::Refused(400)),
        (_, true) => Framing::Chunked,
        (length, false) => Framing::Length(length.unwrap_or(0)),
    };
    Ok(())
}

fn parse_length(value: &str) -> Result<usize, ReadError> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ReadError::Refused(400));
    }
    // More digits than fit are merely too long a body.
    let length = value.parse().unwrap_or(usize::MAX);
    if length > BODY_BYTES_MAX {
        return Err(ReadError::Refused(413));
    }
    Ok(length)
}

fn keep_alive(value: &str, default: bool) -> bool {
    let has = |word: &str| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word));
    !has("close") && (default || has("keep-alive"))
}

async fn read_length(stream: &mut TcpStream, buffer: &mut BytesMut, length: usize) -> Result<Vec<u8>, ReadError> {
    while buffer.len() < length {
        read_more(stream, buffer).await?;
    }
    Ok(take(buffer, length))
}

async fn read_chunks(stream: &mut TcpStream, buffer: &mut BytesMut) -> Result<Vec<u8>, ReadError> {
    let mut body = Vec::new();
    loop {
        let line = read_line(stream, buffer).await?;
        let size = match httparse::parse_chunk_size(&line) {
            Ok(Status::Complete((_, size))) => usize::try_from(size).unwrap_or(usize::MAX),
            Ok(Status::Partial) | Err(_) => return Err(ReadError::Refused(400)),
        };
        if size == 0 {
            break;
        }
        if size > BODY_BYTES_MAX - body.len() {
            return Err(ReadError::Refused(413));
        }
        body.extend(read_length(stream, buffer, size).await?);
        if read_length(stream, buffer, 2).await? != b"\r\n" {
            return Err(ReadError::Refused(400));
        }
    }
    for _ in 0..HEADERS_MAX {
        if read_line(stream, buffer).await? == b"\r\n" {
            return Ok(body);
        }
    }
    Err(ReadError::Refused(431))
}

/// The next line, its end included.
async fn read_line(stream: &mut TcpStream, buffer: &mut BytesMut) -> Result<Vec<u8>, ReadError> {
    loop {
        if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            return Ok(take(buffer, end + 1));
        }
        if buffer.len() > CHUNK_LINE_BYTES_MAX {
            return Err(ReadError::Refused(400));
        }
        read_more(stream, buffer).await?;
    }
}

async fn read_more(stream: &mut TcpStream, buffer: &mut BytesMut) -> Result<(), ReadError> {
    match stream.read_buf(buffer).await? {
        0 => Err(ReadError::Lost),
        _ => Ok(()),
    }
}

/// Copied, not shared: the ledger would otherwise keep whole read buffers alive.
fn take(buffer: &mut BytesMut, length: usize) -> Vec<u8> {
    let bytes = buffer[..length].to_vec();
    buffer.advance(length);
    bytes
}
