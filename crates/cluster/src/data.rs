//! Makes the data of a new cluster with `initdb`.
//!
//! It is made in a place of its own and moved when complete, so data that is there is whole:
//! a start that was cut short leaves nothing that the next one could mistake for data.

use std::ffi::OsString;
use std::time::Duration;

use crate::cluster::ROLE;
use crate::error::Error;
use crate::folder::Folder;
use crate::programs::Programs;

/// A second or two is usual; this is for a machine on its knees.
const INIT_SECONDS: u64 = 120;

/// Character classes, best first: not every system has the first one. Sorting is by bytes anyway.
const CHARACTER_CLASSES: [&str; 2] = ["C.UTF-8", "C"];

/// How `initdb` says that a system has no such locale.
const LOCALE_UNKNOWN: &str = "invalid locale name";

/// Makes the data; `options` are added to those every cluster has.
pub(crate) async fn make(folder: &Folder, programs: &Programs, password: &str, options: &[&str]) -> Result<(), Error> {
    let mut log = String::new();
    for class in CHARACTER_CLASSES {
        let (data, password_file) = folder.begin_data(password)?;
        let mut arguments: Vec<OsString> = vec!["-D".into(), data.into(), "--pwfile".into(), password_file.into()];
        arguments.extend([format!("--username={ROLE}"), format!("--lc-ctype={class}")].map(OsString::from));
        arguments
            .extend(["--locale=C", "--encoding=UTF8", "--auth=scram-sha-256", "--no-instructions"].map(OsString::from));
        arguments.extend(options.iter().map(OsString::from));

        let program = programs.initdb();
        let mut initdb = folder.run(&program, &arguments)?;
        let ended = initdb.wait(Duration::from_secs(INIT_SECONDS)).await.map_err(Error::at(&program))?;
        if ended.is_some_and(|status| status.success()) {
            return folder.complete_data();
        }
        log = folder.log().tail();
        if !log.contains(LOCALE_UNKNOWN) {
            break;
        }
    }
    Err(Error::InitFailed { log })
}
