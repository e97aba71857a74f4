//! Bare sockets: requests byte for byte, as no client library would write them.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl RawAnswer {
    /// The value of a header that is given once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut given = self.headers.iter().filter(|(known, _)| known == name);
        let first = given.next().map(|(_, value)| value.as_str());
        first.filter(|_| given.next().is_none())
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some(Self { status, headers, body: body.to_owned() })
    }
}

/// Writes a request and reads up to the end of the connection.
///
/// A server may answer and close before it has read a body it will not take, so writing may fail.
pub(crate) async fn exchange(address: SocketAddr, request: &[u8]) -> RawAnswer {
    let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
    let mut bytes = Vec::new();
    let (_, _) = tokio::join!(writer.write_all(request), reader.read_to_end(&mut bytes));
    RawAnswer::parse(&bytes).unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(&bytes)))
}

/// A request with these headers; its body as it is, or in chunks when they say so.
pub(crate) fn request(method: &str, path: &str, headers: &[(String, String)], body: Option<&[u8]>) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let is_chunked = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding"));
    let is_measured = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut bytes = Vec::new();
    match body {
        Some(body) if is_chunked => {
            bytes.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
            bytes.extend_from_slice(body);
            bytes.extend_from_slice(b"\r\n0\r\n\r\n");
        }
        Some(body) => {
            if !is_measured {
                head.push_str(&format!("Content-Length: {}\r\n", body.len()));
            }
            bytes.extend_from_slice(body);
        }
        None => {}
    }
    [head.as_bytes(), b"\r\n", &bytes].concat()
}
