//! What a list of channels is narrowed down by.

use domain::violation::Violations;
use store::channel::ChannelStatus;

use crate::wire::platforms::Platforms;
use crate::wire::query::{Page, Parameters, not_one_of};

/// A page of channels that is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ChannelQuery {
    pub(crate) page: Page,
    pub(crate) platforms: Platforms,
    pub(crate) status: Option<ChannelStatus>,
}

/// Reads the parameters of a list of channels.
///
/// # Errors
/// All violations at once.
pub(crate) fn read(query: &str) -> Result<ChannelQuery, Violations> {
    let mut parameters = Parameters::of(query);
    let page = parameters.page();
    let platforms = Platforms::read(&mut parameters);
    let status = parameters.one("status").and_then(|word| {
        let known = [ChannelStatus::Active, ChannelStatus::Inactive].map(ChannelStatus::as_str);
        parameters.keep("status", ChannelStatus::from_word(&word).ok_or_else(|| not_one_of(&word, known)))
    });
    parameters.finish(ChannelQuery { page, platforms, status })
}
