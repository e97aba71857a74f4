//! Media by URL. tuma passes the URL on and never fetches it.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::limits::URL_CHARS_MAX;

/// What a file is shown as.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MediaKind {
    /// JPEG or PNG.
    Image,
    /// MP4 or 3GPP.
    Video,
    /// AAC, AMR, MP3, MP4 or Ogg.
    Audio,
    /// Anything else, with its name.
    Document,
    /// WebP.
    Sticker,
}

/// One file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Media {
    /// What it is shown as.
    pub media_kind: MediaKind,
    /// Where it is.
    pub url: String,
    /// Text below it; only where [`MediaKind::carries_caption`].
    pub caption: Option<String>,
    /// Name of a document.
    pub filename: Option<String>,
}

impl MediaKind {
    /// What a content type is shown as (contract, section 3).
    #[must_use]
    pub fn of_content_type(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.split_once('/') {
            Some(("video", _)) => Self::Video,
            Some(("audio", _)) => Self::Audio,
            Some(("image", "webp")) => Self::Sticker,
            Some(("image", _)) => Self::Image,
            _ => Self::Document,
        }
    }

    /// What an image is shown as: a sticker when its path ends in `.webp`.
    #[must_use]
    pub fn of_image_url(url: &str) -> Self {
        let is_webp = Url::parse(url).is_ok_and(|url| url.path().to_ascii_lowercase().ends_with(".webp"));
        if is_webp { Self::Sticker } else { Self::Image }
    }

    /// Whether WhatsApp shows a text with it.
    #[must_use]
    pub fn carries_caption(self) -> bool {
        match self {
            Self::Image | Self::Video | Self::Document => true,
            Self::Audio | Self::Sticker => false,
        }
    }
}

/// Checks the address of a file or of an app: `https`, a host that can be public, no credentials.
///
/// # Errors
/// The text of the violation.
pub fn check_https_url(text: &str) -> Result<String, String> {
    if text.chars().count() > URL_CHARS_MAX {
        return Err(format!("must not be longer than {URL_CHARS_MAX} characters"));
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("must not hold white space or control characters".to_owned());
    }
    let url = Url::parse(text).map_err(|_| "must be a URL".to_owned())?;
    if url.scheme() != "https" || !text.to_ascii_lowercase().starts_with("https://") {
        return Err("must be an https URL".to_owned());
    }
    let authority = text["https://".len()..].split(['/', '?', '#', '\\']).next().unwrap_or_default();
    if authority.is_empty() || authority.contains('@') {
        return Err("must name a host and no user".to_owned());
    }
    if !url.host().is_some_and(|host| can_be_public(&host)) {
        return Err("must name a public host".to_owned());
    }
    Ok(text.to_owned())
}

/// Whether a host may be reached from everywhere: not of this machine, of a private network, or a name without a dot.
fn can_be_public(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let is_private = [".localhost", ".local", ".internal"].iter().any(|ending| name.ends_with(ending));
            name.contains('.') && !is_private
        }
        Host::Ipv4(address) => is_public_v4(*address),
        Host::Ipv6(address) => match address.to_ipv4() {
            Some(address) => is_public_v4(address),
            None => {
                let is_unicast = matches!(address.segments()[0], 0x2000..=0x3fff);
                is_unicast && !address.is_unique_local() && !address.is_multicast()
            }
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    // 100.64.0.0/10 is shared between carriers' customers (RFC 6598).
    let is_shared = first == 100 && (64..128).contains(&second);
    let is_special = first == 0 || first >= 224 || address.is_loopback() || address.is_link_local();
    !is_shared && !is_special && !address.is_private()
}

/// The name of a document from the last segment of its URL's path, percent-decoded.
#[must_use]
pub fn filename_of_url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let last = url.path_segments()?.next_back()?.to_owned();
    let decoded = percent_decode(&last);
    // An encoded slash would make it a path.
    let name = decoded.rsplit(['/', '\\']).next().unwrap_or_default();
    Some(name.to_owned()).filter(|name| !name.is_empty() && !name.chars().any(char::is_control))
}

/// Decodes `%41`; what is not UTF-8 afterwards stays as it was.
fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_decides_how_a_file_is_shown() {
        for (content_type, kind) in [
            ("video/mp4", MediaKind::Video),
            ("Audio/OGG; codecs=opus", MediaKind::Audio),
            ("image/webp", MediaKind::Sticker),
            ("image/png", MediaKind::Image),
            ("application/pdf", MediaKind::Document),
            ("nonsense", MediaKind::Document),
        ] {
            assert_eq!(MediaKind::of_content_type(content_type), kind, "{content_type}");
        }
    }

    #[test]
    fn an_image_is_a_sticker_when_its_path_says_so() {
        assert_eq!(MediaKind::of_image_url("https://cdn.example.org/a.WEBP?x=1"), MediaKind::Sticker);
        assert_eq!(MediaKind::of_image_url("https://cdn.example.org/a.jpg?x=.webp"), MediaKind::Image);
    }

    #[test]
    fn addresses_are_https_with_a_host() {
        assert!(check_https_url("https://cdn.example.org/a.jpg").is_ok());
        assert!(check_https_url("HTTPS://cdn.example.org/a.jpg").is_ok());
        assert!(check_https_url("https://8.8.8.8/a@b.jpg").is_ok());
        assert!(check_https_url("https://[2001:4860:4860::8888]/a.jpg").is_ok());
        for bad in [
            "http://cdn.example.org/a.jpg",
            "ftp://x/y",
            "https://",
            "https:cdn.example.org",
            "//cdn.example.org/a",
            "cdn.example.org/a.jpg",
            "https://user@cdn.example.org/a",
            "https://u:p@cdn.example.org/a",
            "https://cdn.example.org/a b",
            "data:image/png;base64,AA",
            "https://@cdn.example.org/a",
            "https://localhost/a",
            "https://intranet/a",
            "https://files.internal./a",
            "https://127.0.0.1/a",
            "https://0x7f.1/a",
            "https://10.1.2.3/a",
            "https://100.64.0.1/a",
            "https://169.254.169.254/a",
            "https://[::1]/a",
            "https://[::ffff:10.0.0.1]/a",
            "https://[fd00::1]/a",
            "https://[fe80::1]/a",
            "",
        ] {
            assert!(check_https_url(bad).is_err(), "{bad}");
        }
        assert!(check_https_url(&format!("https://cdn.example.org/{}", "x".repeat(2048))).is_err());
    }

    #[test]
    fn a_document_is_named_after_its_url() {
        for (url, name) in [
            ("https://cdn.example.org/files/invoice%207.pdf?x=1", Some("invoice 7.pdf")),
            ("https://cdn.example.org/%C3%A9t%C3%A9.pdf", Some("été.pdf")),
            ("https://cdn.example.org/%FF.pdf", Some("%FF.pdf")),
            ("https://cdn.example.org/100%.pdf", Some("100%.pdf")),
            ("https://cdn.example.org/a%2Fb.pdf", Some("b.pdf")),
            ("https://cdn.example.org/", None),
            ("https://cdn.example.org", None),
        ] {
            assert_eq!(filename_of_url(url).as_deref(), name, "{url}");
        }
    }
}
