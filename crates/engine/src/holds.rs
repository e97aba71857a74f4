//! What holds messages of an owned channel besides its gate: quiet hours, and pauses.
//!
//! When they change, what the former ones held is planned anew, a page at a time. What an operator holds waits for its
//! release and is left alone.

use domain::id::MessageId;
use domain::message::Lane;
use domain::schedule::{self, DueReason};
use jiff::{SignedDuration, Timestamp};
use store::Store;
use store::holds::{HeldMessage, LANE_START, NewPlan};
use store::lease::Lease;
use store::owned::OwnedChannel;

use crate::metrics::Metrics;
use crate::pauses::Pauses;
use crate::quiet::Quiet;

/// Rows looked at in one statement while what is held is planned anew.
const PAGE: i64 = 1_000;
/// Messages are accepted under former settings for so long after a change, and a little more.
const ACCEPTED_LATE: SignedDuration = SignedDuration::from_secs(6);

/// What holds messages of a channel.
#[derive(Debug)]
pub(crate) struct Holds {
    pub(crate) quiet: Quiet,
    pub(crate) pauses: Pauses,
    planning: Option<Plan>,
}

/// Planning anew, as far as it is.
#[derive(Clone, Copy, Debug)]
struct Plan {
    changed_at: Timestamp,
    /// When it goes on.
    at: Timestamp,
    began_at: Timestamp,
    lane: usize,
    after: (Timestamp, MessageId),
}

impl Plan {
    fn new(changed_at: Timestamp, at: Timestamp) -> Self {
        Self { changed_at, at, began_at: at, lane: 0, after: LANE_START }
    }
}

impl Holds {
    pub(crate) fn new(owned: &OwnedChannel, metrics: &Metrics) -> Self {
        let planning = &owned.planning;
        let is_planned = |changed_at| planning.planned_at.is_some_and(|at| at >= late(changed_at));
        let open = planning.changed_at.filter(|changed_at| !is_planned(*changed_at));
        Self {
            quiet: Quiet::new(owned),
            pauses: Pauses::new(owned, metrics.channels_paused.clone()),
            planning: open.map(|changed_at| Plan::new(changed_at, changed_at)),
        }
    }

    /// When planning goes on, if it does.
    pub(crate) fn plans_at(&self) -> Option<Timestamp> {
        self.planning.map(|plan| plan.at)
    }

    /// Plans a page of what former holds held; answers the lane and the earliest instant that anything of it has now.
    pub(crate) async fn plan(&mut self, store: &Store, lease: &Lease, now: Timestamp) -> Option<(Lane, Timestamp)> {
        let mut plan = self.planning.filter(|plan| plan.at <= now)?;
        if plan.lane == 0 && plan.after == LANE_START {
            plan.began_at = now;
        }
        let Some(lane) = Lane::ALL.get(plan.lane).copied() else {
            self.planning = self.end(store, lease, plan).await;
            return None;
        };
        match self.plan_page(store, lease, lane, plan.after, now).await {
            Ok((reached, earliest)) => {
                let (next, after) = reached.map_or((plan.lane + 1, LANE_START), |reached| (plan.lane, reached));
                self.planning = Some(Plan { lane: next, after, ..plan });
                earliest.map(|at| (lane, at))
            }
            Err(error) => {
                tracing::warn!(%error, channel = %lease.channel, "what was held cannot be planned anew yet");
                self.planning = Some(Plan { at: late(now), ..plan });
                None
            }
        }
    }

    async fn plan_page(
        &self,
        store: &Store,
        lease: &Lease,
        lane: Lane,
        after: (Timestamp, MessageId),
        now: Timestamp,
    ) -> Result<(Option<(Timestamp, MessageId)>, Option<Timestamp>), store::error::Error> {
        let page = store.held(lease, lane, after, PAGE).await?;
        let plans: Vec<NewPlan> = page.held.iter().filter_map(|held| self.plan_of(held, now)).collect();
        if !plans.is_empty() {
            store.plan_anew(lease, &plans).await?;
        }
        Ok((page.reached, plans.iter().map(|plan| plan.due_at).min()))
    }

    /// When a held message may go now, if that has changed. One that cannot go in time falls due, and is ended then.
    fn plan_of(&self, held: &HeldMessage, now: Timestamp) -> Option<NewPlan> {
        // Quiet hours have let it go: it has its place to come.
        if held.reason == DueReason::QuietHours && held.due_at <= now {
            return None;
        }
        let proposed = schedule::first_due(now, held.scheduled_for);
        let in_time = |until: &Timestamp| *until < held.expires_at;
        let (due_at, reason) = match self.pauses.of_tags(&held.tags, proposed) {
            Some(until) => (until.min(held.expires_at), DueReason::Paused),
            None => match self.quiet.closed_for(held, proposed).filter(in_time) {
                Some(until) => (until, DueReason::QuietHours),
                None => (proposed, DueReason::Requested),
            },
        };
        let plan = NewPlan { message: held.id, claim: held.claim, expires_at: held.expires_at, due_at, reason };
        (due_at != held.due_at || reason != held.reason).then_some(plan)
    }

    /// Notes that all was planned; once more if messages may have been accepted under the former ones meanwhile.
    async fn end(&self, store: &Store, lease: &Lease, plan: Plan) -> Option<Plan> {
        if plan.began_at < late(plan.changed_at) {
            return Some(Plan::new(plan.changed_at, late(plan.changed_at)));
        }
        if let Err(error) = store.note_planned(lease, plan.began_at).await {
            tracing::warn!(%error, channel = %lease.channel, "it cannot be noted that all was planned; the next owner will plan again");
        }
        None
    }
}

fn late(changed_at: Timestamp) -> Timestamp {
    changed_at.saturating_add(ACCEPTED_LATE).unwrap_or(Timestamp::MAX)
}
