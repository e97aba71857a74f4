//! The API over real HTTP and a real PostgreSQL: a server on a free port and a database of its own for each test.
//!
//! No engine runs, so what was accepted stays as it is. Nothing sleeps: tests wait for answers and rows.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test that calls them")]

mod access;

mod actions;

mod acts;

mod admin;

mod admin_lists;

mod bad_input;

mod batch;

mod channels;

mod clients;

mod dedup;

mod dry_run;

mod erasures;

mod explain;

mod gates;

mod good_input;

mod harness;

mod held;

mod openapi;

mod options;

mod outage;

mod list_tokens;

mod message_lists;

mod paging;

mod pauses;

mod placeholders;

mod queue_full;

mod quiet_hours;

mod rate_limits;

mod raw;

mod reading;

mod retention;

mod sending_hold;

mod table;

mod tags;

mod uploads;

mod tenancy;
