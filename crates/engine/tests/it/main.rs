//! The engine from the outbox to the sandbox: real PostgreSQL, real HTTP, the provider misbehaving on command.

mod accounts;
mod acts;
mod chores;
mod delays;
mod forwarder;
mod gates;
mod guards;
mod idle;
mod messages;
mod moved_clock;
mod outage;
mod overdue;
mod parts;
mod pauses;
mod process;
mod quiet_hours;
mod recipients;
mod replicas;
mod retries;
mod rig;
mod sending;
mod stopping;
mod unknown;
mod validity;
mod wait;
