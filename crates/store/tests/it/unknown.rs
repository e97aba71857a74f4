//! Parts that may have been sent: what a lapsed claim tells, what is held, what lets it go, and what proves it.

use domain::action::ActionKind;
use domain::decision::Step;
use domain::event::Event;
use domain::failure::FailureCode;
use domain::lifecycle::Status;
use domain::message::Lane;
use domain::outcome::{OnUnknown, Outcome};
use domain::schedule::DueReason;
use store::accept::NewMessage;
use store::action::Selector;
use store::begin::Beginning;
use store::lease::Lease;
use store::list::{Filter, Order, ROUNDS};
use store::outbox::{Claimed, Wanted};
use store::proof::{Doubt, Proven};
use store::steer::Steered;

use crate::fixtures::{Fixture, LONG, later, replica, result, sent, wanted};
use crate::steering::{ACT, place};

/// A tenant whose channel holds what may have been sent, and who sends for it.
struct Holding {
    f: Fixture,
    replica: domain::id::ReplicaId,
    lease: Lease,
}

impl Holding {
    async fn new() -> Self {
        let (f, replica) = (Fixture::new().await, replica());
        let lease = f.lease(replica).await;
        Self { f, replica, lease }
    }

    /// Claims what is due, as a lane that holds does.
    async fn claim(&self) -> Vec<Claimed> {
        let wanted = Wanted { on_unknown: OnUnknown::Hold, ..wanted(&self.lease, 100) };
        self.f.store.claim(self.replica, &[wanted], LONG).await.expect("claimed")
    }

    async fn claim_one(&self) -> Claimed {
        let mut claimed = self.claim().await;
        assert_eq!(claimed.len(), 1, "{claimed:?}");
        claimed.remove(0)
    }

    /// Whether the call of a claim may begin.
    async fn begins(&self, claimed: &Claimed) -> bool {
        let begun = self.f.store.begin(&[Beginning::of(claimed)]).await.expect("asked");
        begun == [(claimed.id, claimed.claim)]
    }

    /// Ends a claim with a call whose outcome is unknown.
    async fn hold(&self, claimed: &Claimed) {
        let due_at = claimed.expires_at;
        let held = Step::Wait { due_at, reason: DueReason::Unknown, counted: true, maybe_sent: true };
        assert_eq!(self.f.settle(self.replica, &[result(claimed, held, Outcome::Unknown)]).await, 1);
    }

    /// A message of two parts that is held for proof of its first.
    async fn held(&self) -> NewMessage {
        let mut message = self.f.message();
        message.parts.extend(self.f.message().parts);
        self.f.accept_one(&message).await;
        let claimed = self.claim_one().await;
        assert!(self.begins(&claimed).await);
        self.hold(&claimed).await;
        message
    }

    async fn give_back(&self, claimed: &Claimed) {
        let (due_at, maybe_sent) = (claimed.due_at, claimed.maybe_sent);
        let back = Step::Wait { due_at, reason: DueReason::Requested, counted: false, maybe_sent };
        assert_eq!(self.f.settle(self.replica, &[result(claimed, back, Outcome::NotConnected)]).await, 1);
    }

    fn doubt(&self, message: &NewMessage, part: usize) -> Doubt {
        Doubt { workspace: message.workspace, message: message.id, part }
    }
}

#[tokio::test]
async fn a_lapsed_claim_was_perhaps_sent_only_if_its_call_had_begun() {
    let h = Holding::new().await;
    h.f.queue(Lane::Normal).await;
    let first = h.claim_one().await;
    h.f.let_claims_lapse().await;
    let second = h.claim_one().await;
    assert_eq!((second.maybe_sent, second.waited_for), (false, DueReason::Claimed));
    assert!(!h.begins(&first).await, "its claim is superseded");
    assert!(h.begins(&second).await);
    h.f.let_claims_lapse().await;
    let third = h.claim_one().await;
    assert!(third.maybe_sent);
    h.f.let_claims_lapse().await;
    assert!(h.claim_one().await.maybe_sent, "it is not forgotten by a claim that did not begin");
}

#[tokio::test]
async fn a_claim_of_a_channel_that_repeats_may_have_begun_whatever_the_channel_does_later() {
    let h = Holding::new().await;
    h.f.queue(Lane::Normal).await;
    h.f.claim_one(&h.lease, h.replica).await;
    h.f.let_claims_lapse().await;
    assert!(h.claim_one().await.maybe_sent);
}

#[tokio::test]
async fn no_call_begins_for_a_claim_that_was_settled() {
    let h = Holding::new().await;
    h.f.queue(Lane::Normal).await;
    let claimed = h.claim_one().await;
    h.give_back(&claimed).await;
    assert!(!h.begins(&claimed).await);
    let again = h.claim_one().await;
    let ended = result(&again, Step::Sent, sent("wamid.1"));
    h.f.settle(h.replica, &[ended]).await;
    assert!(!h.begins(&again).await);
}

#[tokio::test]
async fn a_claim_that_was_to_end_a_message_sends_nothing() {
    let h = Holding::new().await;
    h.f.queue(Lane::Normal).await;
    h.f.database.execute("UPDATE outbox SET expires_at = clock_timestamp() - interval '1 second'").await;
    for time in ["first", "second"] {
        let ended = h.f.store.claim_expired(&h.lease, h.replica, 10, LONG).await.expect("claimed");
        assert_eq!(ended.iter().map(|claimed| claimed.maybe_sent).collect::<Vec<_>>(), [false], "the {time} time");
        h.f.let_claims_lapse().await;
    }
}

#[tokio::test]
async fn what_is_released_may_be_repeated_until_a_call_of_it_is_unknown_again() {
    let h = Holding::new().await;
    let message = h.held().await;
    let place = place(&h.f, message.id);
    assert!(h.claim().await.is_empty());
    assert!(matches!(h.f.store.release(place, &ACT).await.expect("asked"), Steered::Done(Some(_))));
    assert_eq!(h.f.store.release(place, &ACT).await.expect("asked"), Steered::Done(None));
    assert_eq!(h.f.rows("message_events WHERE event = 'released' AND waited_for = 'unknown'").await, 1);
    let claimed = h.claim_one().await;
    assert_eq!((claimed.maybe_sent, claimed.may_repeat, claimed.part), (true, true, 0));
    // Neither a claim that is given back nor one that lapses before its call uses it up.
    h.give_back(&claimed).await;
    assert!(h.claim_one().await.may_repeat);
    h.f.let_claims_lapse().await;
    let claimed = h.claim_one().await;
    assert!(claimed.may_repeat);
    assert!(h.begins(&claimed).await);
    h.f.let_claims_lapse().await;
    let claimed = h.claim_one().await;
    assert_eq!((claimed.maybe_sent, claimed.may_repeat), (true, false));
    h.hold(&claimed).await;
    assert!(matches!(h.f.store.release(place, &ACT).await.expect("asked"), Steered::Done(Some(_))));
    let claimed = h.claim_one().await;
    h.f.settle(h.replica, &[result(&claimed, Step::NextPart, sent("wamid.1"))]).await;
    let claimed = h.claim_one().await;
    assert_eq!((claimed.part, claimed.maybe_sent, claimed.may_repeat), (1, false, false));
}

#[tokio::test]
async fn a_release_of_what_an_operator_holds_is_no_leave_to_repeat() {
    let h = Holding::new().await;
    let message = h.held().await;
    h.f.database.execute("UPDATE outbox SET due_reason = 'held'").await;
    assert!(matches!(h.f.store.release(place(&h.f, message.id), &ACT).await, Ok(Steered::Done(Some(_)))));
    let claimed = h.claim_one().await;
    assert_eq!((claimed.maybe_sent, claimed.may_repeat), (true, false));
}

#[tokio::test]
async fn acts_but_a_release_by_name_leave_what_is_held_for_proof() {
    let h = Holding::new().await;
    let message = h.held().await;
    let place = place(&h.f, message.id);
    let before = h.f.store.message(place.workspace, place.message).await.expect("read");
    assert_eq!(h.f.store.hold(place, &ACT).await.expect("asked"), Steered::Done(None));
    assert_eq!(h.f.store.cancel(place, &ACT).await.expect("asked"), Steered::TooLate);
    assert_eq!(h.f.store.unsent(place).await.expect("asked"), Err(Steered::TooLate));
    for kind in [ActionKind::Hold, ActionKind::Release, ActionKind::Cancel] {
        let action = h.f.act(kind, Selector::default()).await;
        assert_eq!((action.counted, action.acted), (0, 0), "{kind:?}");
    }
    let page = h.f.store.held(&h.lease, Lane::Normal, store::holds::LANE_START, 10).await.expect("read");
    assert_eq!(page.held, [], "no change of quiet hours or pauses plans it anew");
    assert_eq!(h.f.store.message(place.workspace, place.message).await.expect("read"), before);
    let backlog = h.f.store.backlog(place.channel, 10).await.expect("counted");
    assert_eq!((backlog.waiting, backlog.due, backlog.arrivals), (1, [0; 3], vec![]), "it waits and never falls due");
}

#[tokio::test]
async fn a_replay_of_what_ended_unknown_is_leave_to_repeat_it() {
    let h = Holding::new().await;
    let message = h.held().await;
    h.f.database
        .execute(
            "UPDATE messages SET status = 'sending_failed', failure_code = 16002, failure_source = 'tuma',
                failure_source_code = ''; DELETE FROM outbox",
        )
        .await;
    h.f.store.replay(&h.f.tenant.channel, None, message.id, &ACT).await.expect("asked");
    let claimed = h.claim_one().await;
    assert_eq!((claimed.maybe_sent, claimed.may_repeat), (true, true));
    assert_eq!(claimed.parts[0].id, message.parts[0].id);
}

#[tokio::test]
async fn what_is_unknown_is_listed_and_counted_until_it_is_settled() {
    let h = Holding::new().await;
    let message = h.held().await;
    h.f.queue(Lane::Normal).await;
    let unknown = Filter { is_unknown: true, ..Filter::default() };
    let listed = async || {
        let page = h.f.store.list_messages(message.workspace, &unknown, Order::NewestFirst, None, 10, ROUNDS).await;
        page.expect("read").messages.iter().map(|message| message.id).collect::<Vec<_>>()
    };
    assert_eq!((listed().await, h.f.store.unknown_outcomes(10).await.expect("counted")), (vec![message.id], 1));
    // The index of those that ended so names the number.
    assert_eq!(FailureCode::OutcomeUnknown.number(), 16002);
    h.f.store.prove_not_sent(h.doubt(&message, 0)).await.expect("proven");
    assert_eq!((listed().await, h.f.store.unknown_outcomes(10).await.expect("counted")), (vec![], 0));
}

#[tokio::test]
async fn proof_that_a_part_was_sent_lets_the_next_one_go_and_ends_the_last() {
    let h = Holding::new().await;
    let message = h.held().await;
    for wrong in
        [h.doubt(&message, 1), Doubt { workspace: domain::id::WorkspaceId(uuid::Uuid::nil()), ..h.doubt(&message, 0) }]
    {
        assert_eq!(h.f.store.prove_sent(wrong, "wamid.0").await.expect("asked"), Proven::NotInDoubt);
    }
    let proven = h.f.store.prove_sent(h.doubt(&message, 0), "wamid.1").await.expect("proven");
    assert!(matches!(proven, Proven::GoesOn(Lane::Normal, at) if at <= h.f.store.now()), "{proven:?}");
    assert_eq!(h.f.store.prove_sent(h.doubt(&message, 0), "wamid.1").await.expect("asked"), Proven::NotInDoubt);
    let claimed = h.claim_one().await;
    assert_eq!((claimed.part, claimed.tries, claimed.maybe_sent), (1, 1, false));
    assert_eq!(h.f.store.prove_sent(h.doubt(&message, 1), "wamid.2").await.expect("asked"), Proven::NotInDoubt);
    h.hold(&claimed).await;
    assert_eq!(h.f.store.prove_sent(h.doubt(&message, 1), "wamid.2").await.expect("proven"), Proven::Sent);
    let shown = h.f.store.message(message.workspace, message.id).await.expect("read").expect("it is there");
    assert_eq!(
        (shown.status, shown.platform_references),
        (Status::Sent, vec!["wamid.1".to_owned(), "wamid.2".to_owned()])
    );
    assert_eq!(h.f.rows("outbox").await, 0);
    let noted = format!("message_events WHERE event = '{}' AND waited_for = 'unknown'", Event::ProvenSent.as_str());
    assert_eq!(h.f.rows(&noted).await, 2);
}

#[tokio::test]
async fn proof_that_a_part_was_not_sent_frees_it_and_leaves_other_waits() {
    let h = Holding::new().await;
    let message = h.held().await;
    assert!(matches!(h.f.store.prove_not_sent(h.doubt(&message, 0)).await, Ok(Proven::GoesOn(..))));
    let claimed = h.claim_one().await;
    assert_eq!((claimed.part, claimed.maybe_sent, claimed.may_repeat), (0, false, false));
    assert_eq!(h.f.store.prove_not_sent(h.doubt(&message, 0)).await.expect("asked"), Proven::NotInDoubt);
    h.hold(&claimed).await;
    let held_until = later(h.f.store.now(), 600);
    h.f.database.execute(&format!("UPDATE outbox SET due_reason = 'paused', due_at = '{held_until}'")).await;
    let proven = h.f.store.prove_not_sent(h.doubt(&message, 0)).await.expect("proven");
    assert_eq!(proven, Proven::GoesOn(Lane::Normal, held_until));
    assert_eq!(h.f.rows("outbox WHERE due_reason = 'paused' AND NOT maybe_sent").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_proof_and_a_claim_at_the_same_time_never_both_have_the_message() {
    let h = Holding::new().await;
    let other = h.f.database.another_store().await;
    let mut sums = (0, 0);
    for _ in 0..15 {
        let messages: Vec<NewMessage> = (0..20).map(|_| h.f.message()).collect();
        h.f.store.accept(&messages).await.expect("accepted");
        h.f.database.execute("UPDATE outbox SET maybe_sent = true, may_repeat = true, claim = 2").await;
        let proving = async {
            let mut proven = Vec::new();
            for message in messages.iter().rev() {
                let doubt = h.doubt(message, 0);
                if other.prove_sent(doubt, "wamid.1").await.expect("asked") == Proven::Sent {
                    proven.push(message.id);
                }
            }
            proven
        };
        let claiming = async {
            let mut claimed = Vec::new();
            for _ in 0..20 {
                let wanted = Wanted { on_unknown: OnUnknown::Hold, ..wanted(&h.lease, 1) };
                claimed.extend(h.f.store.claim(h.replica, &[wanted], LONG).await.expect("claimed"));
            }
            claimed
        };
        let (proven, claimed) = tokio::join!(proving, claiming);
        assert!(claimed.iter().all(|claimed| !proven.contains(&claimed.id)));
        assert_eq!(proven.len() + claimed.len(), messages.len());
        sums = (sums.0 + proven.len(), sums.1 + claimed.len());
        let ended: Vec<_> = claimed.iter().map(|claimed| result(claimed, Step::Sent, sent("wamid.2"))).collect();
        assert_eq!(h.f.settle(h.replica, &ended).await, ended.len());
    }
    assert!(sums.0 > 0 && sums.1 > 0, "{sums:?}");
}
