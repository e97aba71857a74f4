//! One HTTP/1.1 answer as bytes, and the reason phrases.
//!
//! It says what is put into an answer; how the bytes reach the peer, or fail to, is `reply`'s part.

use std::fmt::Write as _;

use jiff::Timestamp;

/// An answer with a body of known length.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// An answer with a JSON body.
    pub(crate) fn json(status: u16, body: Vec<u8>) -> Self {
        Self { status, content_type: "application/json", headers: Vec::new(), body }
    }

    /// An answer without a body.
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, content_type: "", headers: Vec::new(), body: Vec::new() }
    }

    /// The same with one header more.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Whether a script set the length itself, so that the connection cannot be used any further.
    pub(crate) fn has_own_framing(&self) -> bool {
        self.has("content-length") || self.has("transfer-encoding")
    }

    /// The status line and headers; `keep_alive` tells the peer what becomes of the connection. The provider says what time it is,
    /// unless a script does.
    pub(crate) fn head(&self, keep_alive: bool, now: Timestamp) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        if !self.has("date") {
            let _ = write!(head, "Date: {}\r\n", http_date(now));
        }
        if !self.content_type.is_empty() && !self.has("content-type") {
            let _ = write!(head, "Content-Type: {}\r\n", self.content_type);
        }
        if self.may_have_body() && !self.has_own_framing() {
            let _ = write!(head, "Content-Length: {}\r\n", self.body.len());
        }
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if !keep_alive {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// 204 and 304 end with their head.
    pub(crate) fn may_have_body(&self) -> bool {
        self.status != 204 && self.status != 304
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
    }
}

/// An instant as headers have it (RFC 9110, section 5.6.7).
pub(crate) fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// The standard's phrase for a status (RFC 9110 section 15, RFC 6585).
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Status",
    }
}
