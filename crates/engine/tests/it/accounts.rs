//! The limit that channels of one provider key share: exact over channels and nodes, and shared out by weight.

use std::time::Duration;

use domain::id::{ChannelId, WorkspaceId};
use domain::message::Lane;
use engine::Settings;
use serde_json::json;
use store::accept::NewMessage;
use store::audit::Act;
use store::channel::ChannelSettings;
use store::workspace::WorkspaceChange;
use testkit::Tenant;

use crate::messages::{part_ids, to};
use crate::process::{Process, long_leases};
use crate::rig::{KEY, Rig, fast};
use crate::wait::{until, until_within};

const ACT: Act<'_> = Act { actor: "test", name: "test" };
const SENT: &str = "SELECT count(*) FROM messages WHERE status = 'sent'";
const OWNERS: &str = "SELECT count(DISTINCT replica_id) FROM channel_leases";

/// A rig whose channel has an account's limit.
async fn limited(messages_per_second: u32, latency_millis: u64) -> Rig {
    let mut rig = Rig::scripted(json!({ "latencyMillis": latency_millis })).await;
    let account_messages_per_second = Some(messages_per_second);
    let settings = ChannelSettings { account_messages_per_second, ..rig.tenant.channel.settings.clone() };
    rig.change_channel(&settings, None).await;
    rig
}

/// Further channels of the same key and workspace; the limit that one of them names is for all.
async fn further_channels(rig: &Rig, count: usize) -> Vec<ChannelId> {
    let settings = ChannelSettings { account_messages_per_second: None, ..rig.tenant.channel.settings.clone() };
    let mut channels = vec![rig.tenant.channel.id];
    for _ in 0..count {
        channels.push(Tenant::create_channel(rig.store(), rig.tenant.workspace, &settings, KEY).await.id);
    }
    channels
}

/// A further workspace with a channel of the same key.
async fn further_tenant(rig: &Rig, weight: u32) -> Tenant {
    let tenant = Tenant::create(rig.store(), KEY).await;
    set_weight(rig, tenant.workspace, weight).await;
    tenant
}

async fn set_weight(rig: &Rig, workspace: WorkspaceId, weight: u32) {
    let change = WorkspaceChange { weight: Some(weight), ..WorkspaceChange::default() };
    rig.store().update_workspace(workspace, &change, &ACT).await.expect("the database runs").expect("it is there");
}

/// So many messages for each channel.
fn for_each(rig: &Rig, channels: &[ChannelId], count: usize) -> Vec<NewMessage> {
    let of = |channel: &ChannelId| NewMessage { channel: *channel, ..rig.message("text") };
    (0..count).flat_map(|_| channels.iter().map(of)).collect()
}

/// Messages of a tenant.
fn of_tenant(rig: &Rig, tenant: &Tenant, count: usize) -> Vec<NewMessage> {
    (0..count).map(|_| crate::messages::text(tenant, rig.store().now(), "text")).collect()
}

#[tokio::test]
async fn channels_of_one_key_are_sent_by_one_node_within_their_limit() {
    let rig = limited(50, 10).await;
    let channels = further_channels(&rig, 2).await;
    let messages = for_each(&rig, &channels, 80);
    rig.put(&messages).await;
    let (first, second) = (rig.node(fast()).await, rig.node(fast()).await);
    let owned = || [&first, &second].map(|node| node.metrics.channels_owned.get());
    until("one owns all", async || owned().into_iter().max() == Some(3)).await;
    rig.all_sent(&messages).await;
    assert_eq!((owned().into_iter().min(), rig.number(OWNERS).await), (Some(0), 1));
    rig.assert_delivered_once(&messages);
    rig.assert_rate(50);
    first.running.stop().await;
    second.running.stop().await;
}

#[tokio::test]
async fn channels_of_one_key_come_together_where_renewals_are_rare() {
    let rig = limited(50, 0).await;
    further_channels(&rig, 4).await;
    let long = Duration::from_secs(600);
    let rare = Settings { tick: long, idle_tick: long, lease: long, ..fast() };
    let node = rig.node(rare).await;
    node.owns(5).await;
    node.running.stop().await;
}

#[tokio::test]
async fn workspaces_that_contend_have_turns_by_weight() {
    let rig = limited(40, 0).await;
    let mut tenants = Vec::new();
    for weight in [1, 1, 3] {
        tenants.push(further_tenant(&rig, weight).await);
    }
    let mut messages = vec![of_tenant(&rig, &rig.tenant, 100)];
    messages.extend(tenants.iter().map(|tenant| of_tenant(&rig, tenant, 100)));
    rig.put(&messages.concat()).await;
    let node = rig.node(fast()).await;
    rig.until_number(SENT, 400).await;
    // The first channel of an account comes before the others.
    let mut places = Vec::new();
    for of in &messages {
        places.push(rig.places(of).await);
    }
    let all_wait = places.iter().filter_map(|of| of.iter().min().copied()).max().expect("four");
    let turns = |of: &Vec<usize>| of.iter().filter(|place| (all_wait..all_wait + 120).contains(place)).count();
    let turns: Vec<usize> = places.iter().map(turns).collect();
    assert!(turns.iter().zip([20, 20, 20, 60]).all(|(turns, share)| turns.abs_diff(share) <= 3), "{turns:?}");
    rig.assert_delivered_once(&messages.concat());
    rig.assert_rate(40);
    node.running.stop().await;
}

#[tokio::test]
async fn a_quiet_workspace_passes_the_backlog_of_another() {
    let rig = limited(20, 0).await;
    let quiet = further_tenant(&rig, 1).await;
    let backlog = of_tenant(&rig, &rig.tenant, 200);
    rig.put(&backlog).await;
    let node = rig.node(fast()).await;
    node.owns(2).await;
    rig.sandbox.wait_for(10).await;
    for _ in 0..3 {
        let message = of_tenant(&rig, &quiet, 1);
        rig.put(&message).await;
        let before = rig.sandbox.ledger().len();
        node.wake.due(quiet.channel.id, Lane::Normal, message[0].due_at);
        until("it arrives", async || !rig.arrivals(&message).is_empty()).await;
        let place = rig.first_arrivals().iter().position(|id| *id == part_ids(&message[0])[0]).expect("arrived");
        assert!(place <= before + 6, "behind {} others", place - before);
    }
    rig.until_number(SENT, 203).await;
    node.running.stop().await;
}

#[tokio::test]
async fn an_urgent_message_of_one_channel_passes_bulk_of_another() {
    let rig = limited(20, 0).await;
    let channels = further_channels(&rig, 1).await;
    let bulk: Vec<NewMessage> =
        for_each(&rig, &channels[..1], 60).into_iter().map(|one| NewMessage { lane: Lane::Bulk, ..one }).collect();
    rig.put(&bulk).await;
    let node = rig.node(fast()).await;
    node.owns(2).await;
    rig.sandbox.wait_for(5).await;
    let urgent = [NewMessage { lane: Lane::Urgent, channel: channels[1], ..rig.message("urgent") }];
    rig.put(&urgent).await;
    let before = rig.sandbox.ledger().len();
    node.wake.due(channels[1], Lane::Urgent, urgent[0].due_at);
    rig.all_sent(&urgent).await;
    let place = rig.first_arrivals().iter().position(|id| *id == part_ids(&urgent[0])[0]).expect("arrived");
    assert!(place <= before + 6, "behind {} others", place - before);
    node.running.stop().await;
}

#[tokio::test]
async fn the_limit_holds_while_a_node_is_killed_and_followed() {
    let rig = limited(50, 20).await;
    let channels = further_channels(&rig, 2).await;
    let messages = for_each(&rig, &channels, 100);
    rig.put(&messages).await;
    let first = Process::start(&rig, long_leases()).await;
    first.node.owns(3).await;
    rig.until_number("SELECT count(*) FROM replicas WHERE has_presence", 1).await;
    let second = rig.node(long_leases()).await;
    rig.sandbox.wait_for(60).await;
    first.kill();
    second.owns(3).await;
    // What the first one had claimed falls due when its claims lapse.
    let patience = Duration::from_secs(50);
    until_within(patience, "all are sent", async || rig.number(SENT).await == 300).await;
    rig.assert_delivered_once(&messages);
    rig.assert_rate(50);
    second.running.stop().await;
}

#[tokio::test]
async fn order_to_a_recipient_outlives_claims_that_grow_old_behind_the_limit() {
    let rig = limited(20, 0).await;
    let now = rig.store().now();
    let recipients: Vec<String> = (0..40).map(|number| format!("+2547777777{number:02}")).collect();
    let rounds: Vec<Vec<NewMessage>> =
        (0..5).map(|_| recipients.iter().map(|to_one| to(&rig.tenant, now, to_one, &["text"])).collect()).collect();
    rig.put(&rounds.concat()).await;
    // What one of them has not sent within a second is given back and taken again.
    let node = rig.node(Settings { claim_fresh: Duration::from_secs(1), ..fast() }).await;
    rig.all_sent(&rounds.concat()).await;
    for number in 0..recipients.len() {
        let to_one: Vec<NewMessage> = rounds.iter().map(|round| round[number].clone()).collect();
        rig.assert_in_order(&to_one);
    }
    rig.assert_delivered_once(&rounds.concat());
    node.running.stop().await;
}
