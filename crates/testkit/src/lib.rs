//! What tests share: a database each, on one private cluster a process, and tenants in it.
//!
//! Each test gets a database of its own, cloned from a migrated template, so tests do not see each other. Clusters live
//! in numbered folders below the build folder and are used again by the next run.

mod database;

mod tenant;

pub use database::{TestDatabase, database, empty_database};
pub use tenant::Tenant;
