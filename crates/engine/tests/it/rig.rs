//! What a test of the engine needs: a database, a tenant, a sandbox, and nodes that run the engine.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use domain::budget::BudgetPolicy;
use domain::decision::RetryPolicy;
use domain::gate::GatePolicy;
use domain::id::{MessageId, ReplicaId};
use domain::lifecycle::Status;
use domain::retry::BackOff;
use engine::metrics::Metrics;
use engine::{Engine, Running, Settings, Wake};
use lipachat::Lipachat;
use prometheus::Registry;
use sandbox::{Entry, Sandbox, Script};
use secrecy::SecretString;
use serde_json::Value;
use store::Store;
use store::accept::{Accepted, NewMessage};
use store::audit::Act;
use store::channel::ChannelSettings;
use store::connect::Database;
use store::message::Message;
use store::vault::Vault;
use testkit::{Tenant, TestDatabase};
use uuid::Uuid;

use crate::messages;
use crate::wait::until;

/// Times that messages are handed in again, more than a store has connections.
const ACCEPTS_MAX: usize = 20;
/// The key of the sandbox's account.
pub(crate) const KEY: &str = "the-right-key";
const POOL_SIZE: usize = 8;
/// Windows are measured where requests arrive, which on a busy machine some do late: a tenth of a second is left for that.
const WINDOW_MICROS: u64 = 900_000;
/// So far may tasks pass each other.
const BESIDE: usize = 3;
const ACT: Act<'_> = Act { actor: "test", name: "test" };

/// Settings by which everything happens within a test's patience.
pub(crate) fn fast() -> Settings {
    let millis = Duration::from_millis;
    Settings {
        retry: RetryPolicy { tries_max: 10, back_off: BackOff { first: millis(20), longest: millis(50) } },
        // More than tests of other things repeat.
        retry_budget: BudgetPolicy { percent: 10, floor: 1_000, every: Duration::from_secs(1) },
        gate: GatePolicy {
            credentials_probe: millis(150),
            back_off: BackOff { first: millis(100), longest: millis(200) },
            troubles_max: 5,
            retry_after: (Duration::from_secs(1), Duration::from_secs(900)),
        },
        tick: millis(100),
        idle_tick: millis(100),
        lease: Duration::from_secs(2),
        poll: millis(50),
        call_timeout: Duration::from_secs(2),
        // Longer than the second for which rows are taken ahead.
        claim_fresh: Duration::from_secs(3),
        ..Settings::default()
    }
}

/// A database, a tenant in it, and the provider.
pub(crate) struct Rig {
    pub(crate) database: TestDatabase,
    pub(crate) tenant: Tenant,
    pub(crate) sandbox: Sandbox,
}

impl Rig {
    /// A rig whose provider behaves as this script says.
    pub(crate) async fn scripted(script: Value) -> Self {
        Self::with_key(KEY, script).await
    }

    /// A rig whose channel sends with this key.
    pub(crate) async fn with_key(key: &str, script: Value) -> Self {
        let database = testkit::database().await;
        let tenant = Tenant::create(&database.store, key).await;
        let settings = sandbox::Settings { api_key: Some(KEY.to_owned()), ..sandbox::Settings::default() };
        let sandbox = Sandbox::start(settings).await.expect("a free port");
        let rig = Self { database, tenant, sandbox };
        rig.script(script);
        rig
    }

    /// The same with another rate of the channel.
    pub(crate) async fn at_rate(mut self, messages_per_second: u32) -> Self {
        let settings = ChannelSettings { messages_per_second, ..self.tenant.channel.settings.clone() };
        self.change_channel(&settings, None).await;
        self
    }

    /// Changes how the provider behaves.
    pub(crate) fn script(&self, script: Value) {
        let script = Script::parse(script.to_string().as_bytes()).expect("a script");
        self.sandbox.script(script).expect("a script");
    }

    /// Changes the channel, as an operator does.
    pub(crate) async fn change_channel(&mut self, settings: &ChannelSettings, key: Option<&str>) {
        let key = key.map(SecretString::from);
        let changed = self.store().update_channel(&self.tenant.channel, settings, key.as_ref(), &ACT).await;
        self.tenant.channel = changed.expect("the database runs").expect("nobody else changes it");
    }

    /// Gives the channel another key of the provider.
    pub(crate) async fn change_key(&mut self, key: &str) {
        let settings = self.tenant.channel.settings.clone();
        self.change_channel(&settings, Some(key)).await;
    }

    pub(crate) fn store(&self) -> &Store {
        &self.database.store
    }

    /// Starts a node with these settings.
    pub(crate) async fn node(&self, settings: Settings) -> Node {
        Node::start(&self.database.url, &self.sandbox.url(), settings).await
    }

    /// A message with a text, not yet stored.
    pub(crate) fn message(&self, text: &str) -> NewMessage {
        messages::text(&self.tenant, self.store().now(), text)
    }

    /// Stores messages that are new.
    pub(crate) async fn put(&self, messages: &[NewMessage]) {
        // A node that starts makes this month's partitions: a row on its way into the default one has to come again.
        // So has one that met a connection which a test has cut.
        let mut accepted = self.store().accept(messages).await;
        for _ in 0..ACCEPTS_MAX {
            if accepted.as_ref().is_err_and(store::error::Error::is_transient) {
                accepted = self.store().accept(messages).await;
            }
        }
        assert!(accepted.expect("the database runs").iter().all(|one| *one == Accepted::New));
    }

    /// Stores texts `text 0`, `text 1`, …
    pub(crate) async fn put_texts(&self, count: usize) -> Vec<NewMessage> {
        let messages: Vec<NewMessage> = (0..count).map(|n| self.message(&format!("text {n}"))).collect();
        self.put(&messages).await;
        messages
    }

    pub(crate) async fn read(&self, message: &NewMessage) -> Message {
        self.store().message(message.workspace, message.id).await.expect("the database runs").expect("it was stored")
    }

    /// Statuses with their count.
    pub(crate) async fn statuses(&self, messages: &[NewMessage]) -> BTreeMap<&'static str, usize> {
        let ids: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
        let mut counts = BTreeMap::new();
        for message in self.store().messages(self.tenant.workspace, &ids).await.expect("the database runs") {
            *counts.entry(message.status.as_str()).or_default() += 1;
        }
        counts
    }

    /// Waits until all messages are `sent`.
    pub(crate) async fn all_sent(&self, messages: &[NewMessage]) {
        let sent = BTreeMap::from([(Status::Sent.as_str(), messages.len())]);
        until("all are sent", async || self.statuses(messages).await == sent).await;
        let left =
            "SELECT count(*) FROM outbox JOIN messages USING (workspace_id, message_id) WHERE status <> 'waiting'";
        assert_eq!(self.number(left).await, 0);
    }

    /// Waits until a message has ended; answers its status and failure code.
    pub(crate) async fn ended(&self, message: &NewMessage) -> (Status, Option<i32>) {
        until("the message ends", async || !self.read(message).await.status.is_waiting()).await;
        let message = self.read(message).await;
        (message.status, message.failure.map(|(code, _, _)| code.number()))
    }

    /// One number past the store.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.database.number(sql).await
    }

    /// Waits until a query answers this number.
    pub(crate) async fn until_number(&self, sql: &str, expected: i64) {
        until(sql, async || self.number(sql).await == expected).await;
    }

    /// The ledger's ids by first arrival.
    pub(crate) fn first_arrivals(&self) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        for id in self.sandbox.ledger().into_iter().filter_map(|entry| entry.message_id) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }

    /// Places of messages in the order in which their first calls began, which a busy machine disturbs less than arrivals.
    pub(crate) async fn places(&self, messages: &[NewMessage]) -> Vec<usize> {
        const BEGUN: &str = "SELECT message_id::text FROM attempts GROUP BY message_id ORDER BY min(started_at)";
        let begun = self.database.texts(BEGUN).await;
        let place =
            |message: &NewMessage| begun.iter().position(|id| *id == message.id.0.to_string()).expect("it began");
        messages.iter().map(place).collect()
    }

    /// When parts of these messages arrived, in microseconds and in order of arrival, with their ids.
    pub(crate) fn arrivals(&self, messages: &[NewMessage]) -> Vec<(String, u64)> {
        let ids: HashSet<String> = messages.iter().flat_map(messages::part_ids).collect();
        let ledger = self.sandbox.ledger();
        let of_these = ledger.iter().filter_map(|entry| {
            entry
                .message_id
                .as_ref()
                .filter(|id| ids.contains(*id))
                .map(|id| (id.clone(), entry.arrival_monotonic_micros))
        });
        of_these.collect()
    }

    /// Checks that all parts of these messages arrived, first in order of acceptance.
    pub(crate) fn assert_in_order(&self, messages: &[NewMessage]) {
        let accepted: Vec<String> = messages.iter().flat_map(messages::part_ids).collect();
        let arrived = self.first_arrivals();
        let places: Vec<usize> =
            arrived.iter().filter_map(|id| accepted.iter().position(|accepted| accepted == id)).collect();
        assert!(places.is_sorted() && places.len() == accepted.len(), "arrived in this order: {places:?}");
    }

    /// Checks that places rise, but for what a busy machine turns round: tasks that begin beside each other.
    pub(crate) fn assert_rising(places: &[usize]) {
        let mut sorted = places.to_vec();
        sorted.sort_unstable();
        let aside = |place: &usize| sorted.iter().position(|other| other == place).expect("it is one of them");
        let far = places.iter().enumerate().filter(|(index, place)| aside(place).abs_diff(*index) > BESIDE).count();
        assert_eq!(far, 0, "{places:?}");
    }

    /// Checks that no window, short of a second by the lateness of arrivals, holds more of them than a rate allows.
    pub(crate) fn assert_rate(&self, messages_per_second: usize) {
        let arrivals: Vec<u64> = self.sandbox.ledger().iter().map(|entry| entry.arrival_monotonic_micros).collect();
        for (index, start) in arrivals.iter().enumerate() {
            let within = arrivals[index..].iter().take_while(|at| **at < start + WINDOW_MICROS).count();
            assert!(within <= messages_per_second, "{within} within {WINDOW_MICROS} microseconds");
        }
    }

    /// Checks that each part was delivered exactly once and nothing else was sent.
    pub(crate) fn assert_delivered_once(&self, messages: &[NewMessage]) {
        let mut expected: Vec<String> = messages.iter().flat_map(messages::part_ids).collect();
        let delivered = self.sandbox.ledger().into_iter().filter(|entry| entry.accepted);
        let mut delivered: Vec<String> = delivered.filter_map(|entry| entry.message_id).collect();
        expected.sort_unstable();
        delivered.sort_unstable();
        assert_eq!(delivered, expected);
    }

    /// Checks that no part was called again while a call of it was under way, by calls that each take so long.
    pub(crate) fn assert_no_overlap(&self, call: Duration) {
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        for Entry { message_id, arrival_monotonic_micros: at, .. } in self.sandbox.ledger() {
            let before = last.insert(message_id.unwrap_or_default(), at);
            assert!(before.is_none_or(|before| u128::from(at - before) >= call.as_micros()));
        }
    }
}

/// A process of the gateway, as far as the engine sees it.
pub(crate) struct Node {
    pub(crate) running: Running,
    pub(crate) metrics: Metrics,
    pub(crate) wake: Wake,
    pub(crate) replica: ReplicaId,
    pub(crate) store: Store,
    registry: Registry,
}

impl Node {
    /// Starts the engine on a database and a provider.
    pub(crate) async fn start(database: &str, provider: &str, settings: Settings) -> Self {
        let registry = Registry::new();
        let store_metrics = store::metrics::Metrics::register(&registry).expect("fresh names");
        let metrics = Metrics::register(&registry).expect("fresh names");
        let database = Database::parse(database).expect("our own address");
        let vault = Vault::new(&[7; 32], None);
        let store = Store::connect(database, POOL_SIZE, vault, store_metrics).await.expect("the cluster runs");
        let (wake, replica) = (Wake::default(), ReplicaId(Uuid::new_v4()));
        let provider = Lipachat::new(provider).expect("an address");
        let engine =
            Engine { store: store.clone(), provider, settings, metrics: metrics.clone(), wake: wake.clone(), replica };
        Self { running: engine.start(), metrics, wake, replica, store, registry }
    }

    /// Statements run so far, or those of one name.
    pub(crate) fn statements(&self, name: Option<&str>) -> u64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == "tuma_database_statement_seconds");
        let metrics = family.map(|family| family.get_metric()).unwrap_or_default();
        let wanted = |metric: &&prometheus::proto::Metric| {
            name.is_none_or(|name| metric.get_label().iter().any(|label| label.value() == name))
        };
        metrics.iter().filter(wanted).map(|metric| metric.get_histogram().get_sample_count()).sum()
    }

    /// Waits until the engine has ticked so often again: the test's measure of time that passes.
    pub(crate) async fn ticks(&self, count: u64) {
        let until_ticks = self.statements(Some("store.lease.hold")) + count;
        until("the engine ticks", async || self.statements(Some("store.lease.hold")) >= until_ticks).await;
    }

    /// Waits until this node owns so many channels.
    pub(crate) async fn owns(&self, channels: i64) {
        until("channels change hands", async || self.metrics.channels_owned.get() == channels).await;
    }
}
