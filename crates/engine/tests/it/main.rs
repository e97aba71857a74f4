//! The engine from the outbox to the sandbox: real PostgreSQL, real HTTP, the provider misbehaving on command.

mod accounts;
mod chores;
mod delays;
mod forwarder;
mod gates;
mod idle;
mod messages;
mod outage;
mod parts;
mod process;
mod quiet_hours;
mod recipients;
mod replicas;
mod retries;
mod rig;
mod sending;
mod stopping;
mod validity;
mod wait;
