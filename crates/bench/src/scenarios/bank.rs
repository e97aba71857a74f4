//! Where messages flow: a running program with its requests, and what tells that all is done. The scenarios that measure
//! it are methods of it, each in its own file, so that every program is measured by the same code.

use domain::id::ChannelId;

use crate::bed::Bed;
use crate::load::Prepared;
use crate::program::{Crew, Program, Stage, single};
use crate::sink::Sink;
use crate::subject::Subject;

/// A program that runs.
pub(super) struct Bank<'a> {
    pub(super) bed: &'a Bed,
    pub(super) sink: &'a Sink,
    pub(super) address: String,
    pub(super) processes: Vec<u32>,
    /// Taken in turn.
    pub(super) requests: Vec<Prepared>,
    /// Counts messages that are not settled.
    pub(super) unfinished: &'static str,
}

impl<'a> Bank<'a> {
    /// The gateway, with single messages to some channels.
    pub(super) fn of_gateway(
        bed: &'a Bed,
        sink: &'a Sink,
        gateway: &Subject,
        channels: &[ChannelId],
    ) -> Result<Self, String> {
        let requests = channels.iter().map(|channel| single(bed, *channel)).collect();
        let (address, processes) = (gateway.address()?, vec![gateway.id()]);
        Ok(Self { bed, sink, address, processes, requests, unfinished: Program::Tuma.unfinished() })
    }

    /// Any program, with single messages.
    pub(super) fn of_stage(stage: &'a Stage<'_>, sink: &'a Sink, crew: &Crew) -> Result<Self, String> {
        let (address, processes) = (crew.address()?, crew.ids());
        let unfinished = stage.program.unfinished();
        Ok(Self { bed: &stage.bed, sink, address, processes, requests: stage.singles(), unfinished })
    }
}
