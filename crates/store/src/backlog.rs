//! What waits on a channel, counted: how much is due, and when the rest falls due.
//!
//! Counted along the lanes' index a page at a time, so no statement reads more rows than a page has, and no look more than
//! its caller asks for.

use domain::fairness::Contender;
use domain::forecast::{Arrival, THOUSAND};
use domain::id::{ChannelId, MessageId, WorkspaceId};
use domain::message::Lane;
use domain::schedule::DueReason;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::client::{Params, Store, get};
use crate::error::Error;

/// Rows of a lane that one statement counts: some 20 ms, and two megabytes of the server's memory.
const PAGE: i64 = 50_000;
/// Channels of an account that are looked at; the share of one of more is as good as any of these.
const CONTENDERS_MAX: i64 = 200;
/// Seconds ahead at which what falls due later is divided: near ones are told apart more finely. Rows between two count as
/// falling due together, at their mean.
const DIVISIONS_SECONDS: [i64; 13] =
    [0, 5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 57_600, 115_200, 604_800];
/// Lanes of a channel.
const LANES: usize = Lane::ALL.len();

/// What waits on a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Backlog {
    /// When it was counted.
    pub seen_at: Timestamp,
    /// Messages that were due then, by the lane's index.
    pub due: [u64; LANES],
    /// What falls due later, in order.
    pub arrivals: Vec<Arrival>,
    /// All of them, and what is held until somebody lets it go.
    pub waiting: u64,
}

/// A limit that several channels share.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SharedLimit {
    /// Messages a thousand seconds, of all of them together.
    pub rate_thousandths: u64,
    /// The channel that was asked for.
    pub own: Contender,
    /// The others that have something due.
    pub others: Vec<Contender>,
}

/// How far a lane has been counted, and the row before which it ends.
#[derive(Clone, Copy, Debug)]
struct Walk {
    lane: Lane,
    reached: Spot,
    end: Spot,
}

/// A row of a lane, in whose order they go.
pub type Spot = (Timestamp, MessageId);

const START: Spot = (Timestamp::UNIX_EPOCH, MessageId(Uuid::nil()));
const END: Spot = (Timestamp::MAX, MessageId(Uuid::max()));

// What is held until somebody lets it go waits, but never falls due: at its instant its validity ends. It has no division.
const PAGE_OF_LANES: &str = "-- store.backlog.page_of_lanes
WITH looked AS MATERIALIZED (
    SELECT i.lane, o.due_at, o.message_id, o.ends_held
    FROM unnest($2::smallint[], $3::timestamptz[], $4::uuid[], $5::timestamptz[], $6::uuid[])
        AS i (lane, after_at, after_id, end_at, end_id)
    CROSS JOIN LATERAL (
        SELECT due_at, message_id, due_reason IN ($9, $11) OR due_reason = $10 AND due_at = expires_at AS ends_held FROM outbox
        WHERE channel_id = $1 AND lane = i.lane
        AND (due_at, message_id) > (i.after_at, i.after_id) AND (due_at, message_id) < (i.end_at, i.end_id)
        ORDER BY due_at, message_id LIMIT $7
    ) o
), counted AS (
    SELECT lane, CASE WHEN NOT ends_held THEN width_bucket(due_at, $8::timestamptz[]) END AS division, count(message_id) AS messages,
        avg(extract(epoch FROM due_at)::float8) AS mean, max(due_at) AS last_at
    FROM looked GROUP BY 1, 2
), lanes AS (
    SELECT lane, sum(messages)::bigint AS messages, max(last_at) AS last_at FROM counted GROUP BY lane
)
SELECT c.lane, c.division, c.messages, c.mean, l.messages, l.last_at, (
    SELECT k.message_id FROM looked k WHERE l.messages = $7 AND k.lane = l.lane AND k.due_at = l.last_at
    ORDER BY k.message_id DESC LIMIT 1)
FROM counted c JOIN lanes l ON l.lane = c.lane
ORDER BY c.lane, c.division";

const CONTENDERS: &str = "-- store.backlog.contenders
SELECT c.workspace_id, c.channel_id, c.messages_per_second, a.account_limit, w.weight, EXISTS (
    SELECT FROM unnest($3::smallint[]) AS i (lane) CROSS JOIN LATERAL (
        SELECT due_at FROM outbox WHERE channel_id = c.channel_id AND lane = i.lane AND due_at <= $4 LIMIT 1
    ) o)
FROM channels own
CROSS JOIN LATERAL (
    SELECT min(s.account_messages_per_second) AS account_limit FROM channels s WHERE s.account_id = own.account_id
) a
JOIN channels c ON c.account_id = own.account_id AND (c.status = $5 OR c.channel_id = own.channel_id)
JOIN workspaces w ON w.workspace_id = c.workspace_id
WHERE own.workspace_id = $1 AND own.channel_id = $2 AND a.account_limit IS NOT NULL
ORDER BY c.channel_id <> own.channel_id, c.channel_id LIMIT $6";

impl Store {
    /// What waits on a channel, as far as it is counted: at least `enough` messages of each lane, if there are so many.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn backlog(&self, channel: ChannelId, enough: u64) -> Result<Backlog, Error> {
        self.count(channel, Lane::ALL.map(|lane| Walk { lane, reached: START, end: END }).to_vec(), enough).await
    }

    /// The same without what goes after a message that falls due in a lane at an instant.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn backlog_before(
        &self,
        channel: ChannelId,
        lane: Lane,
        before: Spot,
        enough: u64,
    ) -> Result<Backlog, Error> {
        let end = |of| if of == lane { before } else { END };
        let walks = Lane::ALL.map(|of| Walk { lane: of, reached: START, end: end(of) });
        self.count(channel, walks.to_vec(), enough).await
    }

    async fn count(&self, channel: ChannelId, mut walks: Vec<Walk>, enough: u64) -> Result<Backlog, Error> {
        let seen_at = self.now();
        let mut tally = Tally::new(seen_at);
        let pages = enough.div_ceil(PAGE.unsigned_abs()).max(1);
        for _ in 0..pages {
            if walks.is_empty() {
                break;
            }
            let rows = self.page_of_lanes(channel, &walks, &tally.divisions).await?;
            let mut reached = Vec::new();
            for row in &rows {
                reached.extend(tally.add(row)?);
            }
            let goes_on = |walk: Walk| {
                let full = reached.iter().find(|(lane, _)| *lane == walk.lane);
                full.map(|(_, reached)| Walk { reached: *reached, ..walk })
            };
            walks = walks.into_iter().filter_map(goes_on).collect();
        }
        Ok(tally.backlog())
    }

    async fn page_of_lanes(
        &self,
        channel: ChannelId,
        walks: &[Walk],
        divisions: &[Timestamp],
    ) -> Result<Vec<Row>, Error> {
        let lanes: Vec<i16> = walks.iter().map(|walk| walk.lane.number()).collect();
        let (after_at, after_id): (Vec<Timestamp>, Vec<Uuid>) =
            walks.iter().map(|walk| (walk.reached.0, walk.reached.1.0)).unzip();
        let (end_at, end_id): (Vec<Timestamp>, Vec<Uuid>) = walks.iter().map(|walk| (walk.end.0, walk.end.1.0)).unzip();
        let (held, paused) = (DueReason::Held.as_str(), DueReason::Paused.as_str());
        let unknown = DueReason::Unknown.as_str();
        let params: Params<'_> =
            &[&channel.0, &lanes, &after_at, &after_id, &end_at, &end_id, &PAGE, &divisions, &held, &paused, &unknown];
        self.query(PAGE_OF_LANES, params).await
    }

    /// The limit that a channel shares with others of its provider account, if one of them names one.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn shared_limit(
        &self,
        workspace: WorkspaceId,
        channel: ChannelId,
        now: Timestamp,
    ) -> Result<Option<SharedLimit>, Error> {
        let lanes = Lane::ALL.map(Lane::number).to_vec();
        let active = crate::channel::ChannelStatus::Active.as_str();
        let params: Params<'_> = &[&workspace.0, &channel.0, &lanes, &now, &active, &CONTENDERS_MAX];
        let rows = self.query(CONTENDERS, params).await?;
        let Some((first, rest)) = rows.split_first() else { return Ok(None) };
        let limit: i32 = get(first, 3)?;
        let mut others = Vec::new();
        for row in rest {
            if get(row, 5)? {
                others.push(contender(row)?);
            }
        }
        Ok(Some(SharedLimit { rate_thousandths: thousandths(limit)?, own: contender(first)?, others }))
    }
}

/// Counts so far.
struct Tally {
    seen_at: Timestamp,
    divisions: Vec<Timestamp>,
    due: [u64; LANES],
    /// By division and lane: messages, and the sum of their instants in seconds.
    later: Vec<[(u64, f64); LANES]>,
    /// Held until somebody lets them go.
    held: u64,
}

impl Tally {
    fn new(seen_at: Timestamp) -> Self {
        let ahead = |seconds| seen_at.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
        let divisions: Vec<Timestamp> = DIVISIONS_SECONDS.into_iter().map(ahead).collect();
        let later = vec![[(0, 0.0); LANES]; divisions.len()];
        Self { seen_at, divisions, due: [0; LANES], later, held: 0 }
    }

    /// Adds what a row counts; answers where its lane goes on, if the page was full.
    fn add(&mut self, row: &Row) -> Result<Option<(Lane, Spot)>, Error> {
        let number: i16 = get(row, 0)?;
        let lane = Lane::from_number(number).ok_or_else(|| Error::corrupt(format!("lane {number}")))?;
        let division = get::<Option<i32>>(row, 1)?.map(usize::try_from).transpose().map_err(Error::corrupt)?;
        let messages = u64::try_from(get::<i64>(row, 2)?).map_err(Error::corrupt)?;
        let later = division.map(|division| division.checked_sub(1).and_then(|later| self.later.get_mut(later)));
        match later {
            None => self.held += messages,
            Some(None) => self.due[lane.index()] += messages,
            Some(Some(later)) => {
                let (count, sum) = &mut later[lane.index()];
                *count += messages;
                *sum += get::<f64>(row, 3)? * messages as f64;
            }
        }
        let last: Option<Uuid> = get(row, 6)?;
        last.map(|id| Ok((lane, (get(row, 5)?, MessageId(id))))).transpose()
    }

    fn backlog(&self) -> Backlog {
        let mut arrivals = Vec::new();
        for later in &self.later {
            for (index, (messages, sum)) in later.iter().enumerate().filter(|(_, (messages, _))| *messages > 0) {
                let mut lanes = [0; LANES];
                lanes[index] = *messages;
                arrivals.push(Arrival { at: mean(*sum, *messages).max(self.seen_at), lanes });
            }
        }
        arrivals.sort_by_key(|arrival| arrival.at);
        let later: u64 = self.later.iter().flatten().map(|(messages, _)| messages).sum();
        let waiting = self.due.iter().sum::<u64>() + later + self.held;
        Backlog { seen_at: self.seen_at, due: self.due, arrivals, waiting }
    }
}

/// Cut to the millisecond: a lone message falls due no later than it does.
fn mean(sum: f64, messages: u64) -> Timestamp {
    let milliseconds = sum / messages as f64 * 1000.0;
    Timestamp::from_millisecond(milliseconds as i64).unwrap_or(Timestamp::MAX)
}

fn contender(row: &Row) -> Result<Contender, Error> {
    let weight = u32::try_from(get::<i32>(row, 4)?).map_err(Error::corrupt)?;
    Ok(Contender { workspace: WorkspaceId(get(row, 0)?), weight, rate: thousandths(get(row, 2)?)? })
}

fn thousandths(messages_per_second: i32) -> Result<u64, Error> {
    Ok(u64::try_from(messages_per_second).map_err(Error::corrupt)?.saturating_mul(THOUSAND))
}
