//! A gate is closed for its probe by its owner alone, once, and when it is due.

use domain::gate::{Gate, GateReason};
use jiff::Timestamp;
use secrecy::SecretString;
use store::audit::Act;
use store::channel::{Channel, ChannelSettings};
use store::lease::Lease;

use crate::fixtures::{Fixture, hold, later, load, replica};

const ACT: Act<'_> = Act { actor: "test", name: "test" };

/// A gate that is due, on record.
async fn due_gate(f: &Fixture, lease: &Lease) -> Gate {
    let now = f.store.now();
    let gate = Gate { reason: GateReason::Breaker, since: later(now, -9), until: later(now, -1), closings: 3 };
    f.store.set_gate(lease, Some(gate)).await.expect("written");
    gate
}

/// The same while its probe is under way.
fn probing(f: &Fixture, gate: Gate) -> Gate {
    Gate { until: later(f.store.now(), 60), closings: gate.closings + 1, ..gate }
}

async fn until_of(f: &Fixture) -> Option<Timestamp> {
    load(&f.store, f.tenant.workspace, f.tenant.channel.id)
        .await
        .expect("there")
        .expect("opened")
        .gate
        .map(|gate| gate.until)
}

#[tokio::test]
async fn a_gate_is_closed_for_one_probe_and_for_no_second_one_meanwhile() {
    let f = Fixture::new().await;
    let owner = replica();
    let lease = f.lease(owner).await;
    let gate = probing(&f, due_gate(&f, &lease).await);
    let close = async |now| f.store.close_for_probe(&lease, owner, &gate, now).await.expect("asked");
    assert!(!close(later(gate.since, 1)).await, "it is not due");
    assert!(close(f.store.now()).await);
    assert_eq!(until_of(&f).await, Some(gate.until));
    assert!(!close(f.store.now()).await, "a probe is under way");
    assert!(close(later(gate.until, 1)).await, "it did not come back");
}

#[tokio::test]
async fn nobody_but_the_owner_closes_a_gate_for_a_probe() {
    let f = Fixture::new().await;
    let (old, new) = (replica(), replica());
    let old_lease = f.lease(old).await;
    let gate = due_gate(&f, &old_lease).await;
    let close = async |lease: &Lease, replica, gate: Gate| {
        f.store.close_for_probe(lease, replica, &probing(&f, gate), f.store.now()).await.expect("asked")
    };
    assert!(!close(&old_lease, new, gate).await, "another replica");
    assert!(!close(&Lease { revision: old_lease.revision + 1, ..old_lease }, old, gate).await, "other settings");
    assert!(!close(&old_lease, old, Gate { reason: GateReason::Credentials, ..gate }).await, "another gate");
    f.let_leases_lapse().await;
    assert!(!close(&old_lease, old, gate).await, "its lease has lapsed");
    let new_lease = hold(&f.store, new).await.expect("a lapsed lease is free");
    assert!(!close(&old_lease, old, gate).await, "it was superseded");
    assert_eq!(until_of(&f).await, Some(gate.until));
    assert!(close(&new_lease, new, gate).await);
    f.store.set_gate(&new_lease, None).await.expect("written");
    assert!(!close(&new_lease, new, gate).await, "it is open");
}

#[tokio::test]
async fn another_key_is_probed_at_once_and_another_name_is_not() {
    let f = Fixture::new().await;
    let lease = f.lease(replica()).await;
    let (now, channel) = (f.store.now(), f.tenant.channel.clone());
    let far = Gate { reason: GateReason::Credentials, since: now, until: later(now, 600), closings: 3 };
    f.store.set_gate(&lease, Some(far)).await.expect("written");
    let renamed = ChannelSettings { name: "another".to_owned(), ..channel.settings.clone() };
    let change = async |before: &Channel, key: Option<&SecretString>| {
        f.store.update_channel(before, &renamed, key, &ACT).await.expect("changed").expect("still there")
    };
    let channel = change(&channel, None).await;
    assert_eq!(until_of(&f).await, Some(far.until));
    let key = SecretString::from("another-key");
    let channel = change(&channel, Some(&key)).await;
    assert!(until_of(&f).await.is_some_and(|until| until <= later(f.store.now(), 1)));
    // What the provider asked for holds under any key.
    let lease = Lease { revision: channel.revision, ..lease };
    let limited = Gate { reason: GateReason::RateLimit, ..far };
    f.store.set_gate(&lease, Some(limited)).await.expect("written");
    change(&channel, Some(&key)).await;
    assert_eq!(until_of(&f).await, Some(limited.until));
}
