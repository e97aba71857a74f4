//! Ours beside other queues and beside a bare program of our shape: the same work, the same sink, the same minutes.
//!
//! Every run of a phase has a new database on one cluster. A phase goes through all programs before the next one begins,
//! so that what drifts with the machine drifts for all. A queue that cannot be run is told as such, with the reason.

mod bars;

mod phases;

use std::collections::BTreeMap;
use std::sync::Arc;

use cluster::Cluster;
use serde_json::{Value, json};

use self::phases::{Figures, Phase};
use super::Size;
use crate::bed::Bed;
use crate::figures::runs;
use crate::limits::Limits;
use crate::peer::Peers;
use crate::program::{Program, Stage};
use crate::sink::Sink;

/// Figures of all runs so far.
#[derive(Default)]
struct Measured {
    figures: BTreeMap<(Program, Phase), BTreeMap<&'static str, Vec<f64>>>,
    unavailable: BTreeMap<Program, String>,
}

/// Measures the scenario.
pub(crate) async fn measure(size: Size) -> Result<Value, String> {
    let sink = Sink::start().await?;
    let cluster = Arc::new(Cluster::ephemeral().await.map_err(|error| error.to_string())?);
    let bed = Bed::on(cluster.clone(), "limits").await?;
    let limits = Limits::measure(&bed, &sink).await?;
    bed.remove().await?;
    let peers = Peers::install();
    let mut measured = Measured::default();
    for run in 0..size.runs {
        for phase in Phase::ALL {
            for program in Program::ALL.into_iter().filter(|program| phase.is_for(*program)) {
                if measured.unavailable.contains_key(&program) {
                    continue;
                }
                let name = format!("run{run}_{}_{}", phase.name(), program.name()).to_lowercase();
                let bed = Bed::on(cluster.clone(), &name).await?;
                measured.add(program, phase, once(program, phase, bed, &peers, &sink, size).await)?;
            }
        }
    }
    let mut results = measured.figures();
    bars::judge(&mut results);
    Arc::try_unwrap(cluster)
        .map_err(|_| "a database is still in use")?
        .stop()
        .await
        .map_err(|error| error.to_string())?;
    Ok(json!({
        "runs": size.runs, "sizes": phases::sizes(size), "limits": limits.figures(), "programs": results
    }))
}

async fn once(
    program: Program,
    phase: Phase,
    bed: Bed,
    peers: &Result<Peers, String>,
    sink: &Sink,
    size: Size,
) -> Result<Figures, String> {
    // What an earlier program sent late is not this one's.
    drop(sink.take());
    let stage = Stage::set(program, bed, peers).await?;
    let figures = phase.measure(&stage, sink, size).await?;
    stage.bed.remove().await?;
    Ok(figures)
}

impl Measured {
    /// Adds a run. That another queue does not run is a result; that ours does not is an error.
    fn add(&mut self, program: Program, phase: Phase, run: Result<Figures, String>) -> Result<(), String> {
        match run {
            Ok(run) => {
                let figures = self.figures.entry((program, phase)).or_default();
                for (name, figure) in run {
                    figures.entry(name).or_default().push(figure);
                }
                Ok(())
            }
            Err(why) if program.file().is_some() => {
                self.unavailable.insert(program, format!("{}: {why}", phase.name()));
                Ok(())
            }
            Err(why) => Err(format!("{} of {}: {why}", phase.name(), program.name())),
        }
    }

    fn figures(&self) -> Value {
        let mut results = json!({});
        for ((program, phase), figures) in &self.figures {
            let figures = figures.iter().map(|(name, figures)| ((*name).to_owned(), runs(figures)));
            results[program.name()][phase.name()] = Value::Object(figures.collect());
        }
        for (program, why) in &self.unavailable {
            results[program.name()]["unavailable"] = json!(why);
        }
        results
    }
}
