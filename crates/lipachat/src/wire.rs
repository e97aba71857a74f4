//! Lipachat's JSON: requests that are rendered, answers that are read.

pub mod answer;

pub mod request;

pub mod retry_after;
