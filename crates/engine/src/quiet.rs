//! Quiet hours of an owned channel: what they hold, and how they let go.
//!
//! Asked at the moment of sending, whatever was planned before. A message that they hold goes back to the outbox until they
//! end; then each has a place of its own in the time over which they are spread. When quiet hours change, what the former
//! ones held is planned anew, a page at a time.

use std::collections::HashMap;

use domain::decision::Step;
use domain::id::MessageId;
use domain::message::{Lane, MessageType};
use domain::phone::PhoneNumber;
use domain::quiet_hours::{QuietHours, use_case};
use domain::schedule::{self, DueReason};
use domain::spread::Spread;
use jiff::{SignedDuration, Timestamp};
use store::Store;
use store::lease::Lease;
use store::outbox::Claimed;
use store::owned::OwnedChannel;
use store::quiet_hours::{HeldMessage, LANE_START, NewPlan};

/// Rows looked at in one statement while what is held is planned anew.
const PAGE: i64 = 1_000;
/// Messages are accepted under former quiet hours for so long after a change, and a little more.
const ACCEPTED_LATE: SignedDuration = SignedDuration::from_secs(6);
/// Instants whose messages have places at a time; more let their messages go at once.
const SPREADS_MAX: usize = 1_000;

/// What keeps a message from being sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hold {
    /// It waits until an instant.
    Until(Timestamp, DueReason),
    /// Its validity ends before it may go.
    Never,
}

/// Quiet hours of a channel.
#[derive(Debug)]
pub(crate) struct Quiet {
    hours: Option<QuietHours>,
    message_type: MessageType,
    /// Places of what fell due in a lane at an instant.
    spreads: HashMap<(Lane, Timestamp), (Spread, Timestamp)>,
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

impl Quiet {
    pub(crate) fn new(owned: &OwnedChannel) -> Self {
        let planning = &owned.planning;
        let is_planned = |changed_at| planning.planned_at.is_some_and(|at| at >= late(changed_at));
        let open = planning.changed_at.filter(|changed_at| !is_planned(*changed_at));
        Self {
            hours: owned.quiet_hours.clone(),
            message_type: owned.channel.settings.message_type,
            spreads: HashMap::new(),
            planning: open.map(|changed_at| Plan::new(changed_at, changed_at)),
        }
    }

    /// What keeps a message from being sent now.
    pub(crate) async fn hold(&mut self, store: &Store, message: &mut Claimed, now: Timestamp) -> Option<Hold> {
        let hours = self.hours_of(message)?;
        let expires_at = message.expires_at;
        if let Some(until) = closed_until(hours, &message.recipient, now, expires_at) {
            return Some(if until >= expires_at { Hold::Never } else { Hold::Until(until, DueReason::QuietHours) });
        }
        let spread = SignedDuration::from_secs(hours.spread_seconds().into());
        let until = message.due_at.saturating_add(spread).unwrap_or(Timestamp::MAX);
        if message.waited_for != DueReason::QuietHours || now >= until {
            return None;
        }
        let place = self.place(store, message, now, until).await?;
        // It is its own, also if it is not the channel's turn yet.
        message.waited_for = DueReason::Released;
        (place > now).then_some(Hold::Until(place, DueReason::Released))
    }

    /// The quiet hours that a message is held by.
    fn hours_of(&self, message: &Claimed) -> Option<&QuietHours> {
        self.hours_for(message.use_case.as_deref()).filter(|_| !message.ignores_quiet_hours)
    }

    fn hours_for(&self, meta_use_case: Option<&str>) -> Option<&QuietHours> {
        self.hours.as_ref().filter(|hours| hours.applies_to(&use_case(meta_use_case, self.message_type)))
    }

    /// The place of a message that was just let go.
    async fn place(&mut self, store: &Store, message: &Claimed, now: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let key = (message.lane, message.due_at);
        if !self.spreads.contains_key(&key) {
            self.spreads.retain(|_, (_, until)| *until > now);
            if self.spreads.len() >= SPREADS_MAX {
                return None;
            }
            match store.let_go(message.channel, message.lane, message.due_at, until).await {
                Ok(let_go) => {
                    let from = let_go.last.map_or(message.due_at, |last| last.max(message.due_at));
                    self.spreads.insert(key, (Spread::new(from, until, let_go.messages), until));
                }
                Err(error) => {
                    tracing::warn!(%error, channel = %message.channel, "what quiet hours let go cannot be counted, and goes at once");
                    return None;
                }
            }
        }
        self.spreads.get_mut(&key).map(|(spread, _)| spread.take(now, message.expires_at))
    }

    /// The step of a message whose next try falls into quiet hours; `None` when it could not be tried within its validity.
    pub(crate) fn fit(&self, message: &Claimed, step: Step) -> Option<Step> {
        let Step::Wait { due_at, counted, maybe_sent, .. } = &step else { return Some(step) };
        let hours = self.hours_of(message);
        match hours.and_then(|hours| closed_until(hours, &message.recipient, *due_at, message.expires_at)) {
            None => Some(step),
            Some(until) if until >= message.expires_at => None,
            Some(until) => {
                let (reason, counted, maybe_sent) = (DueReason::QuietHours, *counted, *maybe_sent);
                Some(Step::Wait { due_at: until, reason, counted, maybe_sent })
            }
        }
    }

    /// When planning goes on, if it does.
    pub(crate) fn plans_at(&self) -> Option<Timestamp> {
        self.planning.map(|plan| plan.at)
    }

    /// Plans a page of what former quiet hours held; answers the lane and the earliest instant of what falls due by now.
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
                tracing::warn!(%error, channel = %lease.channel, "what quiet hours held cannot be planned anew yet");
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
        let page = store.held_by_quiet_hours(lease, lane, after, PAGE).await?;
        let plans: Vec<NewPlan> = page.held.iter().filter_map(|held| self.plan_of(held, now)).collect();
        if !plans.is_empty() {
            store.plan_anew(lease, &plans).await?;
        }
        Ok((page.reached, plans.iter().map(|plan| plan.due_at).min()))
    }

    /// When a held message may go now, if that has changed. One that cannot go in time falls due, and is ended then.
    fn plan_of(&self, held: &HeldMessage, now: Timestamp) -> Option<NewPlan> {
        let proposed = schedule::first_due(now, held.scheduled_for);
        let hours = self.hours_for(held.use_case.as_deref());
        let until = hours.and_then(|hours| closed_until(hours, &held.recipient, proposed, held.expires_at));
        let (due_at, reason) = match until.filter(|until| *until < held.expires_at) {
            Some(until) => (until, DueReason::QuietHours),
            None => (proposed, DueReason::Requested),
        };
        let plan = NewPlan { message: held.id, claim: held.claim, expires_at: held.expires_at, due_at, reason };
        (due_at != held.due_at || reason != DueReason::QuietHours).then_some(plan)
    }

    /// Notes that all was planned; once more if messages may have been accepted under the former quiet hours meanwhile.
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

/// Until when an instant is closed, if it is; not looked for past the end of validity.
fn closed_until(
    hours: &QuietHours,
    recipient: &PhoneNumber,
    at: Timestamp,
    expires_at: Timestamp,
) -> Option<Timestamp> {
    hours.closed_at(&hours.zones_for(recipient), at, expires_at).map(|closed| closed.until)
}

fn late(changed_at: Timestamp) -> Timestamp {
    changed_at.saturating_add(ACCEPTED_LATE).unwrap_or(Timestamp::MAX)
}
