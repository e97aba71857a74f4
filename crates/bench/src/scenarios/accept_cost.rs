//! What accepting one text message costs our process besides the database: processor time, allocations, wall time.
//!
//! The gateway runs in a child process that takes requests and sends nothing, so its processor time is neither the
//! load's nor PostgreSQL's. The child tells what its threads have used (`bench::usage`); the difference over a burst of
//! requests, divided by their number, is the cost of one. Allocations come from a second child, the same program under
//! a counting allocator, whose times are not used.
//!
//! Beside it stand, in the same bursts, a server that only reads the body and one that also commits it as a row, both
//! of actix-web with the gateway's settings. Where the time goes is told by three parts measured alone: HTTP (the empty
//! server), computing (`api::steps`), and storing (`store::writer`, without HTTP). What they leave of the whole is
//! routing, access, request id, span, metrics, and waking threads.
//!
//! With one request in flight the gateway sleeps while the database commits, and wakes with a cold processor: there the
//! empty server and the computing part are run with pauses as long as an accept takes. In a tight loop the same empty
//! server costs a fraction, and would make the rest look larger than it is.
//!
//! Bursts of all subjects take turns and medians are taken over the runs, since figures drift with the machine.

mod load;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bench::child::Role;
use bench::child::storing::MESSAGES as MESSAGES_STORED;
use bench::usage::Usage;
use serde_json::{Value, json};

use self::load::Load;
use crate::bed::Bed;
use crate::figures::{median, milliseconds, round};
use crate::machine::load as machine_load;
use crate::subject::{COUNTED, PLAIN, Subject};

/// What an accept may cost, microseconds of processor time.
const BAR_MICROSECONDS: f64 = 60.0;
/// Turns of each subject.
const RUNS: usize = 7;
/// Requests in flight, requests of a burst, and the worker that stores so many at a time.
const LOADS: [(usize, usize, Role); 2] = [(1, 500, Role::StoringOne), (32, 3_200, Role::StoringMany)];
/// Requests before the first that counts: connections, plans and caches.
const WARM_UP: usize = 2_000;
const SERVERS: [(Role, &str); 4] = [
    (Role::Empty, "emptyHandler"),
    (Role::OneRow, "oneRowCommit"),
    (Role::Gateway, "accept"),
    (Role::GatewayWithoutLog, "acceptWithoutLog"),
];

/// A server under load.
struct Measured {
    name: &'static str,
    subject: Subject,
    load: Arc<Load>,
    bursts: Vec<Usage>,
    rates: Vec<f64>,
    took: Vec<Duration>,
}

/// Measures the scenario.
pub(crate) async fn measure() -> Result<Value, String> {
    let bed = Bed::make().await?;
    let load_before = machine_load();
    let mut computer = Subject::start(PLAIN, Role::Computing, &bed)?;
    let computing: Value = computer.ask(Duration::ZERO)?;
    let counted: Value = Subject::start(COUNTED, Role::Computing, &bed)?.ask(Duration::ZERO)?;
    let mut results = json!({ "barMicroseconds": BAR_MICROSECONDS, "computing": steps(&computing, &counted) });
    for (in_flight, requests, storing) in LOADS {
        let mut servers = bursts(&bed, in_flight, requests).await?;
        let storing = stored(&bed, storing)?;
        let mut figures = json!({});
        for server in &servers {
            figures[server.name] = server.figures(requests);
            if matches!(server.name, "emptyHandler" | "accept") {
                figures[server.name]["allocations"] = allocations(&bed, server.name, in_flight, requests).await?;
            }
        }
        let of = |name: &str| figures[name]["processorMicroseconds"].as_f64().unwrap_or(f64::NAN);
        let accept = of("accept");
        let pause = if in_flight == 1 { pause_of(&servers) } else { Duration::ZERO };
        let (http, computing) = if pause.is_zero() {
            (of("emptyHandler"), total(&computing))
        } else {
            (paced(&mut servers, requests, pause).await?, total(&computer.ask(pause)?))
        };
        let rest = accept - http - computing - storing;
        figures["whereItGoesMicroseconds"] = json!({
            "pauseOfTheParts": pause.as_micros(), "http": round(http), "computing": round(computing), "storing": round(storing), "rest": round(rest),
            "logOfTheRest": round(accept - of("acceptWithoutLog"))
        });
        figures["verdict"] = Value::String(verdict(accept, in_flight));
        results[format!("inFlight{in_flight}")] = figures;
    }
    results["machineLoad"] = json!({ "before": load_before, "after": machine_load() });
    bed.remove().await?;
    Ok(results)
}

fn verdict(accept: f64, in_flight: usize) -> String {
    let reached = if accept <= BAR_MICROSECONDS { "reached" } else { "missed" };
    format!("{accept} µs of processor time an accept at {in_flight} in flight; bar {BAR_MICROSECONDS} µs: {reached}")
}

/// How long an accept took, in the median.
fn pause_of(servers: &[Measured]) -> Duration {
    let mut took = servers.iter().find(|server| server.name == "accept").map(|server| server.took.clone());
    took.iter_mut().for_each(|took| took.sort_unstable());
    took.and_then(|took| took.get(took.len() / 2).copied()).unwrap_or_default()
}

/// Processor time of a request to the empty server with a pause before each, microseconds.
async fn paced(servers: &mut [Measured], requests: usize, pause: Duration) -> Result<f64, String> {
    let server = servers.iter_mut().find(|server| server.name == "emptyHandler").ok_or("no empty server")?;
    let mut runs = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let before = server.subject.usage()?;
        server.load.send_paced(requests, pause).await?;
        runs.push((server.subject.usage()? - before).microseconds() / requests as f64);
    }
    Ok(median(runs))
}

/// All servers, taking turns.
async fn bursts(bed: &Bed, in_flight: usize, requests: usize) -> Result<Vec<Measured>, String> {
    let mut servers = Vec::new();
    for (role, name) in SERVERS {
        let subject = Subject::start(PLAIN, role, bed)?;
        let load = Load::new(subject.address.as_deref().ok_or("no address")?, bed)?;
        load.send(WARM_UP, in_flight).await?;
        servers.push(Measured { name, subject, load, bursts: Vec::new(), rates: Vec::new(), took: Vec::new() });
    }
    for _ in 0..RUNS {
        for server in &mut servers {
            let before = server.subject.usage()?;
            let started = Instant::now();
            server.took.extend(server.load.send(requests, in_flight).await?);
            server.rates.push(requests as f64 / started.elapsed().as_secs_f64());
            server.bursts.push(server.subject.usage()? - before);
        }
    }
    Ok(servers)
}

impl Measured {
    fn figures(&self, requests: usize) -> Value {
        let a_request = |figure: f64| figure / requests as f64;
        let all: Vec<f64> = self.bursts.iter().map(|burst| a_request(burst.microseconds())).collect();
        let http = self.bursts.iter().map(|burst| a_request(burst.http_nanoseconds as f64 / 1000.0));
        let other = self.bursts.iter().map(|burst| a_request(burst.other_nanoseconds as f64 / 1000.0));
        json!({
            "processorMicroseconds": round(median(all.clone())),
            "lowest": round(all.iter().copied().fold(f64::INFINITY, f64::min)),
            "highest": round(all.iter().copied().fold(0.0, f64::max)),
            "ofHttpThreads": round(median(http.collect())), "ofOtherThreads": round(median(other.collect())),
            "requestsPerSecond": median(self.rates.clone()).round(),
            "wallMilliseconds": milliseconds(self.took.clone())
        })
    }
}

/// Allocations and bytes a request, of the counting program.
async fn allocations(bed: &Bed, name: &str, in_flight: usize, requests: usize) -> Result<Value, String> {
    let role = if name == "accept" { Role::Gateway } else { Role::Empty };
    let mut subject = Subject::start(COUNTED, role, bed)?;
    let load = Load::new(subject.address.as_deref().ok_or("no address")?, bed)?;
    load.send(WARM_UP, in_flight).await?;
    let before = subject.usage()?;
    load.send(requests, in_flight).await?;
    let used = (subject.usage()? - before).allocations.ok_or("nothing was counted")?;
    let a_request = |figure: usize| round(figure as f64 / requests as f64);
    Ok(json!({ "calls": a_request(used.calls), "bytes": a_request(used.bytes) }))
}

/// Processor time of storing one message, microseconds.
fn stored(bed: &Bed, role: Role) -> Result<f64, String> {
    let mut subject = Subject::start(PLAIN, role, bed)?;
    let mut runs = Vec::with_capacity(RUNS);
    // The first run is the warm-up.
    subject.usage()?;
    for _ in 0..RUNS {
        runs.push(subject.usage()?.microseconds() / MESSAGES_STORED as f64);
    }
    Ok(median(runs))
}

/// Times of the plain program beside the allocations of the counting one.
fn steps(plain: &Value, counted: &Value) -> Value {
    let mut steps = counted.clone();
    for (name, step) in plain.as_object().into_iter().flatten() {
        steps[name]["microseconds"] = step["microseconds"].clone();
    }
    steps["totalMicroseconds"] = json!(round(total(plain)));
    steps
}

fn total(steps: &Value) -> f64 {
    steps.as_object().into_iter().flatten().filter_map(|(_, step)| step["microseconds"].as_f64()).sum()
}
