//! The planted bug of this process (`domain::planted`), from the environment: only in builds with the feature `planted`. In all
//! others its variable is unknown, as any other that is not ours.

use std::collections::BTreeMap;

use crate::config::Problems;

/// Names the bug.
#[cfg(feature = "planted")]
const VARIABLE: &str = "TUMA_PLANTED_BUG";

/// Nothing is planted here: all of the environment is the configuration's.
///
/// # Errors
/// None.
#[cfg(not(feature = "planted"))]
pub(crate) fn choose(environment: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Problems> {
    Ok(environment)
}

/// Chooses the bug that the environment names, if it names one; answers the rest of the environment.
///
/// # Errors
/// When there is no such bug.
#[cfg(feature = "planted")]
pub(crate) fn choose(mut environment: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Problems> {
    use domain::planted::{self, Bug};

    let Some(name) = environment.remove(VARIABLE) else { return Ok(environment) };
    let known = || Bug::ALL.map(|bug| bug.row().1).join(", ");
    let bug = Bug::named(&name).ok_or_else(|| Problems(vec![format!("{VARIABLE}: must be one of {}", known())]))?;
    let planted = planted::choose(bug);
    planted.map_err(|bug| Problems(vec![format!("{VARIABLE}: {bug:?} after another one")]))?;
    Ok(environment)
}

#[cfg(all(test, feature = "planted"))]
mod tests {
    use super::*;

    fn environment(bug: &str) -> BTreeMap<String, String> {
        [(VARIABLE, bug), ("TUMA_LOG", "info")].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn the_variable_names_the_bug_and_is_left_out_of_the_rest() {
        assert!(choose(environment("no-such-bug")).is_err());
        let rest = choose(environment("own-clock")).expect("a bug");
        assert_eq!(rest.keys().collect::<Vec<_>>(), ["TUMA_LOG"]);
        assert!(domain::planted::is(domain::planted::Bug::OwnClock));
    }
}
