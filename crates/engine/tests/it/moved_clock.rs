//! Days of sending in a minute: the database's clock is moved on again and again, and arrivals at the provider judge.
//!
//! The clock that tuma goes by is the database's, so moving it moves all replicas. It is moved while nothing is under way,
//! hence every arrival has one offset: that of its time.

use std::time::Duration;

use domain::options::Options;
use domain::quiet_hours::{QuietHours, use_case};
use domain::schedule::{self, DueReason, Fit, Quiet};
use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sandbox::Entry;
use serde_json::json;
use store::Store;
use store::accept::NewMessage;
use store::audit::Act;

use crate::messages::{part_ids, to};
use crate::rig::{Node, Rig, fast};
use crate::wait::until;

const SEED: u64 = 20_261_126;
const MESSAGES: usize = 400;
/// The last hour before summer time ends in Europe, which is within quiet hours.
const START: &str = "2026-10-24T20:00:00Z";
const DAYS: i64 = 3;
/// Jumps go to the next instant at which anything happens; every so often one goes hours beyond it, mostly into a night.
const BEYOND_EACH: usize = 2;
const BEYOND_SECONDS: std::ops::Range<i64> = 1_800..18_000;
/// A call that was begun before quiet hours may arrive in them.
const CALL: SignedDuration = SignedDuration::from_secs(1);
/// Nairobi, London, Berlin, New York or any other zone of North America, one of Australia's.
const NUMBERS: [&str; 5] = ["+2547", "+4477009", "+4915", "+1202555", "+6141"];

/// `clock_timestamp()` as all see it who connect from now on.
const MOVE: &str = "CREATE SCHEMA moved;
    CREATE TABLE moved.by (microseconds bigint NOT NULL);
    INSERT INTO moved.by VALUES (0);
    CREATE FUNCTION moved.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
        'SELECT pg_catalog.clock_timestamp() + (SELECT microseconds FROM moved.by) * interval ''1 microsecond''';
    DO 'BEGIN EXECUTE format(''ALTER DATABASE %I SET search_path = moved, public, pg_catalog'', current_database()); END'";

/// A clock that is moved, with who goes by it.
struct Moved {
    rig: Rig,
    store: Store,
    node: Node,
    hours: QuietHours,
    /// How far it is ahead, from which entry of the ledger on.
    offsets: Vec<(usize, SignedDuration)>,
}

impl Moved {
    async fn new(hours: QuietHours) -> Self {
        let rig = Rig::scripted(json!({})).await;
        let act = Act { actor: "test", name: "test" };
        let is_set = rig.store().put_workspace_quiet_hours(rig.tenant.workspace, &hours, &act).await;
        assert!(is_set.expect("the database runs"));
        rig.database.execute(MOVE).await;
        let store = rig.database.another_store().await;
        let node = rig.node(fast()).await;
        // Here the clock is moved on purpose, and is to be followed.
        for store in [&store, &node.store] {
            store.clock().follow_up_to(Duration::MAX);
        }
        Self { rig, store, node, hours, offsets: Vec::new() }
    }

    /// Moves the clock on to an instant.
    async fn move_to(&mut self, at: Timestamp) {
        let by = at.duration_since(self.store.now());
        self.rig
            .database
            .execute(&format!("UPDATE moved.by SET microseconds = microseconds + {}", by.as_micros()))
            .await;
        for store in [&self.store, &self.node.store] {
            store.read_clock().await.expect("the database runs");
        }
        let before = self.offsets.last().map_or(SignedDuration::ZERO, |(_, offset)| *offset);
        self.offsets
            .push((self.rig.sandbox.ledger().len(), before + SignedDuration::from_micros(by.as_micros() as i64)));
    }

    /// Waits until nothing is due or under way.
    async fn rest(&self) {
        until("what is due goes", async || {
            let now = self.store.now();
            let sql = format!(
                "SELECT count(*) FROM outbox WHERE due_at <= '{now}' OR expires_at <= '{now}' OR claimed_until IS NOT NULL"
            );
            self.rig.number(&sql).await == 0
        })
        .await;
    }

    /// When something happens next.
    async fn next(&self) -> Option<Timestamp> {
        let sql =
            "SELECT coalesce((extract(epoch FROM min(least(due_at, expires_at))) * 1000000)::bigint, 0) FROM outbox";
        let next = self.rig.number(sql).await;
        (next > 0).then(|| Timestamp::from_microsecond(next).expect("an instant"))
    }

    /// A message like one that the API would accept at an instant, if it could be sent in time.
    fn message(&self, random: &mut StdRng, now: Timestamp) -> Option<NewMessage> {
        let number = format!("{}{}", NUMBERS[random.random_range(0..NUMBERS.len())], random.random_range(1000..9999));
        let number = format!("{number:0<13}");
        let message = to(&self.rig.tenant, now, &number, &["moved"]);
        let hours_ahead = random.random_range(-24..24 * DAYS);
        let seconds = SignedDuration::from_secs(hours_ahead * 3600 + random.random_range(0..3600));
        let scheduled_for = (hours_ahead >= 0).then(|| now.checked_add(seconds).expect("in range"));
        let validity =
            if random.random_bool(0.3) { random.random_range(60..3600) } else { random.random_range(3600..172_800) };
        let use_case = random.random_bool(0.7).then(|| "marketing".to_owned());
        let message = NewMessage {
            options: Options { ignore_quiet_hours: random.random_bool(0.1), ..Options::default() },
            use_case,
            scheduled_for,
            expires_at: schedule::expires_at(now, scheduled_for, validity),
            ..message
        };
        let zones = self.zones(&message);
        let quiet = zones.as_ref().map(|zones| Quiet { hours: &self.hours, zones });
        match schedule::fit(schedule::first_due(now, scheduled_for), DueReason::Requested, message.expires_at, quiet) {
            Fit::At(due_at, due_reason) => Some(NewMessage { due_at, due_reason, ..message }),
            Fit::Never => None,
        }
    }

    /// The zones in which quiet hours hold for a message, if they do.
    fn zones(&self, message: &NewMessage) -> Option<Vec<domain::quiet_hours::Zone>> {
        let message_type = self.rig.tenant.channel.settings.message_type;
        let applies = self.hours.applies_to(&use_case(message.use_case.as_deref(), message_type));
        let (_, number) = message.recipient.as_ref()?;
        (applies && !message.options.ignore_quiet_hours).then(|| self.hours.zones_for(number))
    }

    /// When an entry arrived, by the moved clock.
    fn arrival(&self, place: usize, entry: &Entry) -> Timestamp {
        let offset = self.offsets.iter().rev().find(|(from, _)| *from <= place).map(|(_, offset)| *offset);
        entry.arrival.checked_add(offset.expect("moved before the first one")).expect("in range")
    }

    /// What is wrong with an arrival.
    fn fault(&self, message: &NewMessage, at: Timestamp) -> Option<String> {
        if message.scheduled_for.is_some_and(|scheduled_for| at < scheduled_for) {
            return Some(format!("arrived early, at {at}: {message:?}"));
        }
        if at >= message.expires_at {
            return Some(format!("arrived after its validity, at {at}: {message:?}"));
        }
        let closed = self.hours.closed_at(&self.zones(message)?, at, Timestamp::MAX)?;
        let is_late = at.duration_since(closed.since) > CALL;
        is_late.then(|| format!("arrived in quiet hours ({closed}), at {at}: {message:?}"))
    }
}

fn hours() -> QuietHours {
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let setting = json!({
        "enabled": true, "timeZone": "Europe/London", "recipientTimeZone": true, "holidays": ["2026-10-26"],
        "appliesTo": ["marketing"], "windows": [{ "days": days, "start": "21:00", "end": "08:00" }], "spreadSeconds": 600
    });
    serde_json::from_value(setting).expect("quiet hours")
}

#[tokio::test]
async fn nothing_arrives_early_nor_in_quiet_hours_nor_after_its_validity() {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut moved = Moved::new(hours()).await;
    moved.move_to(START.parse().expect("an instant")).await;
    let now = moved.store.now();
    let messages: Vec<NewMessage> = (0..MESSAGES).filter_map(|_| moved.message(&mut random, now)).collect();
    moved.store.accept(&messages).await.expect("the database runs");
    let mut jumps = 0;
    moved.rest().await;
    while let Some(next) = moved.next().await {
        jumps += 1;
        let beyond = if jumps % BEYOND_EACH == 0 { random.random_range(BEYOND_SECONDS) } else { 0 };
        moved.move_to(next.checked_add(SignedDuration::from_secs(beyond)).expect("in range")).await;
        moved.rest().await;
    }
    let ledger = moved.rig.sandbox.ledger();
    let mut arrived = 0;
    for message in &messages {
        let id = &part_ids(message)[0];
        let of_it: Vec<_> =
            ledger.iter().enumerate().filter(|(_, entry)| entry.message_id.as_ref() == Some(id)).collect();
        assert!(of_it.len() <= 1, "sent twice: {message:?}");
        for (place, entry) in of_it {
            arrived += 1;
            assert_eq!(moved.fault(message, moved.arrival(place, entry)), None);
        }
    }
    let statuses = moved.rig.statuses(&messages).await;
    assert_eq!(statuses.get("sent"), Some(&arrived), "{statuses:?}");
    // Some ended because the clock was moved beyond their validity, most did not; some were due and held all the same.
    let expired = statuses.get("sending_failed").copied().unwrap_or_default();
    assert!(expired > 0 && arrived > messages.len() / 2 && arrived + expired == messages.len(), "{statuses:?}");
    assert!(moved.node.metrics.held_back.with_label_values(&["quiet_hours"]).get() > 0);
    moved.node.running.stop().await;
}
