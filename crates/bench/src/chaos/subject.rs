//! Whom the judge judges: the program `tuma` beside it, or a build of it with a planted bug.

use std::path::PathBuf;
use std::sync::OnceLock;

use domain::planted::Bug;

/// The variable by which a build with planted bugs is told which one it has.
const BUG: &str = "TUMA_PLANTED_BUG";

/// The program that is judged, the same for a whole run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subject {
    /// The program.
    pub binary: PathBuf,
    /// The bug that it is started with.
    pub bug: Option<Bug>,
}

static CHOSEN: OnceLock<Subject> = OnceLock::new();

impl Subject {
    /// Makes it the one that is judged by this process, before anything is started.
    ///
    /// # Errors
    /// When there is no such program, or another one was chosen.
    pub fn choose(self) -> Result<(), String> {
        if !self.binary.exists() {
            return Err(format!("{} is not there", self.binary.display()));
        }
        CHOSEN.set(self).map_err(|subject| format!("{} after another one", subject.binary.display()))
    }
}

/// The program that is judged, if it is not the one beside this one.
pub(super) fn binary() -> Option<PathBuf> {
    CHOSEN.get().map(|subject| subject.binary.clone())
}

/// What it is told besides.
pub(super) fn environment() -> Option<(&'static str, &'static str)> {
    let bug = CHOSEN.get()?.bug?;
    Some((BUG, bug.row().1))
}
