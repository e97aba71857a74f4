//! `platform`: one or several of the platforms that the Channels API knows. All that is here is WhatsApp.

use std::fmt;

use crate::wire::query::Parameters;

/// The one platform there is.
pub(crate) const WHATSAPP: &str = "whatsapp";
/// Longest name of a platform; those that are known have up to 20 characters.
const NAME_BYTES_MAX: usize = 50;

/// Platforms asked for; all when there is none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Platforms(Vec<String>);

impl Platforms {
    /// Reads `platform`. Nowhere is it written down which platforms there are, so whatever has the form of a platform's
    /// name is taken for one, which has no messages and channels here.
    pub(crate) fn read(parameters: &mut Parameters) -> Self {
        let mut names = Vec::new();
        for name in parameters.list("platform") {
            let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            let is_name = !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(legal);
            let text = format!("must be the name of a platform, such as {WHATSAPP}");
            names.extend(parameters.keep("platform", is_name.then_some(name).ok_or(text)));
        }
        names.sort_unstable();
        names.dedup();
        Self(names)
    }

    /// Whether there can be anything at all.
    pub(crate) fn has_whatsapp(&self) -> bool {
        self.0.is_empty() || self.0.iter().any(|name| name == WHATSAPP)
    }
}

impl fmt::Display for Platforms {
    /// Canonical: sorted, each once.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}
