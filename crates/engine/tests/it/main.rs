//! The engine from the outbox to the sandbox: real PostgreSQL, real HTTP, the provider misbehaving on command.

mod chores;
mod forwarder;
mod gates;
mod idle;
mod messages;
mod outage;
mod parts;
mod replicas;
mod retries;
mod rig;
mod sending;
mod stopping;
mod validity;
mod wait;
