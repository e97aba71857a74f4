//! The store against a real PostgreSQL: one database a test, cloned from a migrated template.
//!
//! Nothing sleeps: rows are made due, leases lapse and replicas grow old by statements of the test.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test that calls them")]

mod accept;

mod actions;

mod access_keys;

mod backlog;

mod bulkheads;

mod careful;

mod channels;

mod claims;

mod expiry;

mod explain;

mod fixtures;

mod gates;

mod chores;

mod durability;

mod early_plans;

mod erasures;

mod installation;

mod leases;

mod list;

mod list_plans;

mod migrations;

mod partition_plans;

mod partitions;

mod pauses;

mod quiet_hours;

mod replays;

mod retention;

mod serving;

mod settle;

mod statements;

mod steering;

mod unknown;

mod steering_races;

mod tags;

mod writer;
