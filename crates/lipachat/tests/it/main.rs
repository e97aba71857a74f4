//! Lipachat's client against the sandbox: each way a call can go, over real HTTP.

mod answers;
mod connections;
mod rig;
