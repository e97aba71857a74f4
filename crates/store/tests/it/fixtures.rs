//! What the tests of the store start from: a tenant on a database of its own, messages, leases, results.

use std::time::Duration;

use domain::content::{Content, Part, Text};
use domain::decision::Step;
use domain::id::{ChannelId, ContactId, MessageId, PartId, ReplicaId, WorkspaceId};
use domain::message::{Lane, MessageKey};
use domain::options::Options;
use domain::outcome::{OnUnknown, Outcome, Report};
use domain::phone::PhoneNumber;
use domain::schedule::DueReason;
use jiff::{SignedDuration, Timestamp};
use store::Store;
use store::accept::{Accepted, NewMessage};
use store::connect::Database;
use store::error::Error;
use store::lease::{Held, Hold, Lease};
use store::outbox::{Claimed, Room, Wanted};
use store::owned::OwnedChannel;
use store::settle::{Attempt, Settlement};
use testkit::{Tenant, TestDatabase};
use tokio_postgres::Client;
use uuid::Uuid;

/// Longer than any test.
pub(crate) const LONG: Duration = Duration::from_secs(600);
const RECIPIENT: &str = "+254712345678";

/// A database with one tenant.
pub(crate) struct Fixture {
    pub(crate) database: TestDatabase,
    pub(crate) store: Store,
    pub(crate) tenant: Tenant,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let database = testkit::database().await;
        let store = database.store.clone();
        let tenant = Tenant::create(&store, "lipachat-key").await;
        Self { database, store, tenant }
    }

    /// A message of the tenant that is due now.
    pub(crate) fn message(&self) -> NewMessage {
        message_of(&self.tenant, self.store.now())
    }

    /// Stores a message that is due now, in a lane.
    pub(crate) async fn queue(&self, lane: Lane) -> NewMessage {
        self.queue_at(lane, self.store.now()).await
    }

    /// Stores a message that falls due at an instant, in a lane.
    pub(crate) async fn queue_at(&self, lane: Lane, due_at: Timestamp) -> NewMessage {
        let message = NewMessage { lane, due_at, ..self.message() };
        assert_eq!(self.accept_one(&message).await, Accepted::New);
        message
    }

    pub(crate) async fn accept_one(&self, message: &NewMessage) -> Accepted {
        let accepted = self.store.accept(std::slice::from_ref(message)).await.expect("accepted");
        assert_eq!(accepted.len(), 1);
        accepted[0]
    }

    /// The lease of the tenant's channel, held by a replica for long.
    pub(crate) async fn lease(&self, replica: ReplicaId) -> Lease {
        hold(&self.store, replica).await.expect("the lease of the only channel")
    }

    pub(crate) async fn claim(&self, lease: &Lease, replica: ReplicaId) -> Vec<Claimed> {
        claim(&self.store, lease, replica, 100).await
    }

    /// Claims the one row that is due.
    pub(crate) async fn claim_one(&self, lease: &Lease, replica: ReplicaId) -> Claimed {
        let mut claimed = self.claim(lease, replica).await;
        assert_eq!(claimed.len(), 1, "{claimed:?}");
        claimed.remove(0)
    }

    pub(crate) async fn settle(&self, replica: ReplicaId, results: &[Settlement]) -> usize {
        self.store.settle(replica, results).await.expect("settled").len()
    }

    /// Lets every claim lapse.
    pub(crate) async fn let_claims_lapse(&self) {
        self.database
            .execute("UPDATE outbox SET claimed_until = clock_timestamp() - interval '1 second' WHERE due_reason = 'claimed'")
            .await;
    }

    /// Lets every lease lapse.
    pub(crate) async fn let_leases_lapse(&self) {
        self.database.execute("UPDATE replicas SET lease_expires_at = clock_timestamp() - interval '1 second'").await;
    }

    /// Rows of a table.
    pub(crate) async fn rows(&self, table: &str) -> i64 {
        self.database.number(&format!("SELECT count(*) FROM {table}")).await
    }
}

/// A message of a tenant that is due now.
pub(crate) fn message_of(tenant: &Tenant, now: Timestamp) -> NewMessage {
    let recipient = PhoneNumber::parse(RECIPIENT).expect("a number");
    let text = Text::new("Habari").expect("a text");
    NewMessage {
        id: MessageId(Uuid::now_v7()),
        workspace: tenant.workspace,
        channel: tenant.channel.id,
        recipient: Some((ContactId::of_number(tenant.workspace, recipient.e164()), recipient)),
        key: None,
        fingerprint: [1; 32],
        body: r#"{"type":"text","text":{"text":"Habari"}}"#.to_owned(),
        template: None,
        parts: vec![Part { id: PartId(Uuid::new_v4()), content: Content::Text(text) }],
        reference: "order-1".to_owned(),
        tags: Vec::new(),
        meta: "{}".to_owned(),
        use_case: None,
        options: Options::default(),
        frequency_cap: None,
        batch: None,
        scheduled_for: None,
        expires_at: later(now, 3600),
        due_at: now,
        due_reason: DueReason::Requested,
        lane: Lane::Normal,
        rejected: None,
        created_at: now,
    }
}

/// The same message under a key.
pub(crate) fn keyed(message: NewMessage, key: &str) -> NewMessage {
    NewMessage { key: Some(MessageKey::new(key).expect("a key")), ..message }
}

/// What a replica wants of a channel that has been looked at never before: so many rows of any lanes.
pub(crate) fn wanted(lease: &Lease, total: usize) -> Wanted {
    let (due_from, room) = ([Timestamp::UNIX_EPOCH; 3], Room { lanes: [total; 3], total });
    Wanted { lease: *lease, due_from, room, on_unknown: OnUnknown::Repeat }
}

/// Claims so many rows for long.
pub(crate) async fn claim(store: &Store, lease: &Lease, replica: ReplicaId, total: usize) -> Vec<Claimed> {
    store.claim(replica, &[wanted(lease, total)], LONG).await.expect("claimed")
}

pub(crate) fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).expect("in range")
}

pub(crate) fn replica() -> ReplicaId {
    ReplicaId(Uuid::new_v4())
}

/// Holds what is free for long; the lease of the only channel, if it was.
pub(crate) async fn hold(store: &Store, replica: ReplicaId) -> Option<Lease> {
    let leases = held(store, replica).await.leases;
    assert!(leases.len() <= 1, "{leases:?}");
    leases.first().copied()
}

/// Holds what is free for long.
pub(crate) async fn held(store: &Store, replica: ReplicaId) -> Held {
    store.hold_leases(holding(replica)).await.expect("leases")
}

/// How a replica without work renews.
pub(crate) fn holding(replica: ReplicaId) -> Hold<'static> {
    Hold { replica, lasting: LONG, is_busy: false, unusable: &[], suspects: &[] }
}

/// A channel as its owner loads it; `None` when it is not there.
pub(crate) async fn load(
    store: &Store,
    workspace: WorkspaceId,
    channel: ChannelId,
) -> Option<Result<OwnedChannel, Error>> {
    let mut loaded = store.owned_channels(&[(workspace, channel)]).await.expect("read");
    assert!(loaded.len() <= 1);
    loaded.pop().map(|(_, loaded)| loaded)
}

/// The result of a claim after a call.
pub(crate) fn result(claimed: &Claimed, step: Step, outcome: Outcome) -> Settlement {
    let report = Report {
        outcome,
        rule: "rule",
        http_status: Some(200),
        detail: "text".to_owned(),
        classified: true,
        retry_after: None,
        may_be_taken: false,
    };
    let attempt = Attempt { started_at: claimed.due_at, finished_at: later(claimed.due_at, 1), report };
    Settlement::of(claimed, step, Some(attempt))
}

pub(crate) fn sent(wa_id: &str) -> Outcome {
    Outcome::Sent { message_id: None, wa_id: Some(wa_id.to_owned()) }
}

/// A connection past the store.
pub(crate) async fn connect(url: &str) -> Client {
    Database::parse(url).expect("our own address").connect().await.expect("the cluster runs")
}
