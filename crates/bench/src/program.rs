//! The programs that do the same work beside each other: how each is set up, started and asked.

use bench::child::Role;
use domain::id::ChannelId;
use domain::message::{Lane, MessageType};
use serde_json::json;
use testkit::Tenant;

use crate::backlog::Backlog;
use crate::bed::Bed;
use crate::load::{Load, Prepared, Until, run};
use crate::message;
use crate::meter::memory_megabytes;
use crate::peer::Peers;
use crate::scenarios::{HIGHEST_RATE, MANY_CHANNELS, accepting, owning};
use crate::sink::Sink;
use crate::subject::{PLAIN, Subject};

/// Messages of a call with many.
pub(crate) const MESSAGES_A_CALL: usize = domain::limits::BATCH_MESSAGES_MAX;
/// Connections that hand a backlog in.
const FILLERS: usize = 4;

/// One of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Program {
    /// Ours.
    Tuma,
    /// A bare program of our shape that hands committed messages over in memory.
    Ceiling,
    /// The same, but it claims them from its table.
    CeilingClaim,
    /// graphile-worker.
    Graphile,
    /// pg-boss.
    PgBoss,
}

impl Program {
    pub(crate) const ALL: [Self; 5] = [Self::Tuma, Self::Ceiling, Self::CeilingClaim, Self::Graphile, Self::PgBoss];

    /// Its name in results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tuma => "tuma",
            Self::Ceiling => "ceiling",
            Self::CeilingClaim => "ceilingClaim",
            Self::Graphile => "graphile",
            Self::PgBoss => "pgBoss",
        }
    }

    /// The file of another queue.
    pub(crate) fn file(self) -> Option<&'static str> {
        match self {
            Self::Tuma | Self::Ceiling | Self::CeilingClaim => None,
            Self::Graphile => Some("graphile.mjs"),
            Self::PgBoss => Some("pgboss.mjs"),
        }
    }

    /// Counts messages that are not settled.
    pub(crate) fn unfinished(self) -> &'static str {
        match self {
            Self::Tuma => "SELECT count(*) FROM outbox",
            Self::Ceiling | Self::CeilingClaim => "SELECT count(*) FROM ceiling",
            Self::Graphile => "SELECT count(*) FROM graphile_worker._private_jobs",
            Self::PgBoss => "SELECT count(*) FROM pgboss.job WHERE state < 'completed'",
        }
    }
}

/// What runs a program's processes.
enum Runner<'a> {
    Tuma,
    Ceiling(Role),
    Peer(&'a Peers, &'static str),
}

/// A program on a database of its own.
pub(crate) struct Stage<'a> {
    pub(crate) bed: Bed,
    pub(crate) program: Program,
    runner: Runner<'a>,
    channels: Vec<ChannelId>,
}

/// Its running processes; end when dropped.
pub(crate) struct Crew(pub(crate) Vec<Subject>);

impl Crew {
    /// The processes.
    pub(crate) fn ids(&self) -> Vec<u32> {
        self.0.iter().map(Subject::id).collect()
    }

    /// Where requests go.
    pub(crate) fn address(&self) -> Result<String, String> {
        self.0.iter().find_map(|subject| subject.address.clone()).ok_or_else(|| "no address".to_owned())
    }

    /// Resident memory of all at the most, megabytes.
    pub(crate) fn peak_megabytes(&self) -> Result<f64, String> {
        self.0.iter().map(|subject| memory_megabytes(subject.id(), "VmHWM")).sum()
    }
}

impl<'a> Stage<'a> {
    /// Makes what the program needs in the database.
    pub(crate) async fn set(program: Program, bed: Bed, peers: &'a Result<Peers, String>) -> Result<Self, String> {
        let (mut channels, mut runner) = (Vec::new(), Runner::Tuma);
        match program {
            Program::Tuma => channels = bed.channels(MANY_CHANNELS, MessageType::Transactional, HIGHEST_RATE).await?,
            Program::Ceiling => runner = Runner::Ceiling(Role::Ceiling),
            Program::CeilingClaim => runner = Runner::Ceiling(Role::CeilingClaim),
            Program::Graphile | Program::PgBoss => {
                let peers = peers.as_ref().map_err(Clone::clone)?;
                let file = program.file().ok_or("no file")?;
                peers.set_up(file, &bed)?;
                runner = Runner::Peer(peers, file);
            }
        }
        Ok(Self { bed, program, runner, channels })
    }

    /// Starts what takes messages and sends none.
    pub(crate) fn start_accepting(&self) -> Result<Crew, String> {
        let subject = match self.runner {
            Runner::Tuma => accepting(&self.bed),
            Runner::Ceiling(role) => Subject::start(PLAIN, role, &self.bed),
            Runner::Peer(peers, file) => peers.start_front(file, &self.bed),
        };
        Ok(Crew(vec![subject?]))
    }

    /// Starts what sends.
    pub(crate) fn start_sending(&self, sink: &Sink) -> Result<Crew, String> {
        let subject = match self.runner {
            Runner::Tuma => Subject::start_sending(Role::Worker, &self.bed, &sink.url()),
            Runner::Ceiling(role) => Subject::start_sending(role, &self.bed, &sink.url()),
            Runner::Peer(peers, file) => peers.start_worker(file, &self.bed, &sink.url()),
        };
        Ok(Crew(vec![subject?]))
    }

    /// Starts what takes messages and sends them; another queue's front and worker are two processes.
    pub(crate) async fn start_whole(&self, sink: &Sink) -> Result<Crew, String> {
        Ok(Crew(match self.runner {
            Runner::Tuma => vec![owning(Role::Whole, &self.bed, sink, self.channels.len()).await?],
            Runner::Ceiling(role) => vec![Subject::start_sending(role, &self.bed, &sink.url())?],
            Runner::Peer(peers, file) => {
                vec![peers.start_worker(file, &self.bed, &sink.url())?, peers.start_front(file, &self.bed)?]
            }
        }))
    }

    /// Requests with one message each, to be taken in turn.
    pub(crate) fn singles(&self) -> Vec<Prepared> {
        match self.runner {
            Runner::Tuma => self.channels.iter().map(|channel| single(&self.bed, *channel)).collect(),
            Runner::Ceiling(_) | Runner::Peer(..) => {
                vec![Prepared::post("/message", "bench", &message::request().to_string())]
            }
        }
    }

    /// A request with many messages.
    pub(crate) fn batch(&self) -> Prepared {
        match self.runner {
            Runner::Tuma => batch(&self.bed),
            Runner::Ceiling(_) | Runner::Peer(..) => {
                Prepared::post("/messages", "bench", &json!(vec![message::request(); MESSAGES_A_CALL]).to_string())
            }
        }
    }

    /// Puts messages there that wait, numbered from zero, and lets the database come to rest; ours past the API, the
    /// others through their front.
    pub(crate) async fn fill(&self, count: usize) -> Result<(), String> {
        if matches!(self.runner, Runner::Tuma) {
            let (channels, lane) = (&self.channels[..], Lane::Normal);
            return Backlog { channels, lane, from: 0, count, due_in_seconds: 0.0 }.insert(&self.bed).await;
        }
        let crew = self.start_accepting()?;
        let (address, until) = (crew.address()?, Until::Requests(count / MESSAGES_A_CALL));
        let requests = vec![self.batch()];
        run(Load { address, requests, connections: FILLERS, from: 0, until, gap: None }).await?;
        drop(crew);
        self.bed.execute("VACUUM (ANALYZE)").await?;
        self.bed.execute("CHECKPOINT").await
    }
}

/// A request to the gateway with one message.
pub(crate) fn single(bed: &Bed, channel: ChannelId) -> Prepared {
    let authorization = format!("AccessKey {}", bed.tenant.access_key);
    Prepared::post(&bed.messages_path(channel), &authorization, &message::request().to_string())
}

/// The same to another workspace's channel.
pub(crate) fn single_of(tenant: &Tenant) -> Prepared {
    let authorization = format!("AccessKey {}", tenant.access_key);
    Prepared::post(&tenant.messages_path(), &authorization, &message::request().to_string())
}

/// A request to the gateway with as many messages as a batch may hold.
pub(crate) fn batch(bed: &Bed) -> Prepared {
    let authorization = format!("AccessKey {}", bed.tenant.access_key);
    let body = json!({ "messageRequests": vec![message::request(); MESSAGES_A_CALL] });
    Prepared::post(&bed.batch_path(bed.tenant.channel.id), &authorization, &body.to_string())
}
