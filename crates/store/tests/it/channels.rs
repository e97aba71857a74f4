//! Channels: the provider key is sealed, changes know what they change, acts are noted.

use domain::id::{ChannelId, WorkspaceId};
use domain::message::MessageType;
use secrecy::{ExposeSecret, SecretString};
use store::Store;
use store::audit::Act;
use store::channel::{ChannelSettings, ChannelStatus};
use store::connect::Database;
use store::error::Error;
use store::metrics::Metrics;
use store::vault::Vault;
use store::workspace::WorkspaceChange;
use testkit::Tenant;
use uuid::Uuid;

use crate::access_keys::occurrences;
use crate::fixtures::{Fixture, connect, load};

const ACT: Act<'_> = Act { actor: "test", name: "test" };
const PROVIDER_KEY: &str = "lipachat-key";

#[tokio::test]
async fn the_provider_key_is_stored_nowhere_in_the_clear_and_opens() {
    let f = Fixture::new().await;
    let client = connect(&f.database.url).await;
    assert_eq!(occurrences(&client, PROVIDER_KEY).await, Vec::<String>::new());
    let opened = load(&f.store, f.tenant.workspace, f.tenant.channel.id).await.expect("there").expect("opened");
    assert_eq!(opened.key.expose_secret(), PROVIDER_KEY);
    assert!(load(&f.store, WorkspaceId(Uuid::new_v4()), f.tenant.channel.id).await.is_none());
}

#[tokio::test]
async fn a_provider_key_moved_to_another_channel_does_not_open() {
    let f = Fixture::new().await;
    let other = Tenant::create(&f.store, "another-key").await;
    f.database
        .execute(&format!(
            "UPDATE channels SET provider_key = (SELECT provider_key FROM channels WHERE channel_id = '{}') WHERE channel_id = '{}'",
            f.tenant.channel.id, other.channel.id
        ))
        .await;
    let opened = load(&f.store, other.workspace, other.channel.id).await;
    assert!(matches!(opened, Some(Err(Error::Corrupt(_)))), "{opened:?}");
    let checked = f.store.check_provider_keys(ChannelId(Uuid::nil()), 10).await.expect("checked");
    let bad: Vec<_> = checked.iter().filter(|(_, problem)| problem.is_err()).map(|(id, _)| *id).collect();
    assert_eq!((checked.len(), bad), (2, vec![other.channel.id]));
}

#[tokio::test]
async fn a_provider_key_does_not_open_under_another_master_key() {
    let f = Fixture::new().await;
    let (workspace, channel) = (f.tenant.workspace, f.tenant.channel.id);
    let with = async |vault: Vault| {
        let metrics = Metrics::register(&prometheus::Registry::new()).expect("fresh names");
        let database = Database::parse(&f.database.url).expect("our own address");
        Store::connect(database, 1, vault, metrics).await.expect("the cluster runs")
    };
    let stranger = with(Vault::new(&[8; 32], None)).await;
    assert!(matches!(load(&stranger, workspace, channel).await, Some(Err(Error::Corrupt(_)))));
    let rotated = with(Vault::new(&[8; 32], Some(&[7; 32]))).await;
    load(&rotated, workspace, channel).await.expect("there").expect("opened");
}

#[tokio::test]
async fn of_two_changes_to_one_revision_the_second_is_refused() {
    let f = Fixture::new().await;
    let before = &f.tenant.channel;
    let settings =
        ChannelSettings { name: "first".to_owned(), message_type: MessageType::TwoFactor, ..before.settings.clone() };
    let new_key = SecretString::from("rotated-key");
    let changed =
        f.store.update_channel(before, &settings, Some(&new_key), &ACT).await.expect("changed").expect("still there");
    assert_eq!((&changed.settings, changed.revision), (&settings, before.revision + 1));
    let late = ChannelSettings { status: ChannelStatus::Inactive, ..before.settings.clone() };
    assert_eq!(f.store.update_channel(before, &late, None, &ACT).await.expect("answered"), None);
    let stored = f.store.channel(before.workspace, before.id).await.expect("read").expect("there");
    assert_eq!(stored, changed);
    // A change without a key keeps the one there is.
    f.store.update_channel(&changed, &late, None, &ACT).await.expect("changed").expect("still there");
    let key = load(&f.store, before.workspace, before.id).await.expect("there").expect("opened").key;
    assert_eq!(key.expose_secret(), "rotated-key");
}

#[tokio::test]
async fn channels_and_workspaces_are_listed_in_order_of_id_and_only_ones_own() {
    let f = Fixture::new().await;
    let other = Tenant::create(&f.store, PROVIDER_KEY).await;
    let mut own = vec![f.tenant.channel.id];
    for _ in 0..3 {
        own.push(
            Tenant::create_channel(&f.store, f.tenant.workspace, &f.tenant.channel.settings, PROVIDER_KEY).await.id,
        );
    }
    own.sort_unstable();
    let listed = f.store.channels(f.tenant.workspace, None, ChannelId(Uuid::nil()), 3).await.expect("read");
    assert_eq!(listed.iter().map(|channel| channel.id).collect::<Vec<_>>(), own[..3]);
    let listed = f.store.channels(f.tenant.workspace, None, own[2], 3).await.expect("read");
    assert_eq!(listed.iter().map(|channel| channel.id).collect::<Vec<_>>(), own[3..]);
    assert!(f.store.channel(f.tenant.workspace, other.channel.id).await.expect("read").is_none());
    let workspaces = f.store.workspaces(WorkspaceId(Uuid::nil()), 10).await.expect("read");
    assert_eq!(workspaces.len(), 2);
    assert!(workspaces[0].id < workspaces[1].id);
}

#[tokio::test]
async fn every_act_of_an_operator_is_noted_and_a_refused_one_is_not() {
    let f = Fixture::new().await;
    // The tenant: a workspace, a channel and a key.
    assert_eq!(f.rows("audit").await, 3);
    let change = WorkspaceChange { name: Some("renamed".to_owned()), ..WorkspaceChange::default() };
    f.store.update_workspace(f.tenant.workspace, &change, &ACT).await.expect("renamed").expect("there");
    f.store.revoke_access_key(f.tenant.workspace, f.tenant.access_key_id, &ACT).await.expect("revoked");
    assert_eq!(f.rows("audit").await, 5);
    assert!(f.store.update_workspace(WorkspaceId(Uuid::new_v4()), &change, &ACT).await.expect("answered").is_none());
    assert!(f.store.create_workspace(f.tenant.workspace, "twice", &ACT).await.is_err());
    assert_eq!(f.rows("audit").await, 5);
}

#[tokio::test]
async fn channels_with_the_same_provider_key_have_the_same_account_whenever_they_were_made() {
    let f = Fixture::new().await;
    let other = Tenant::create(&f.store, PROVIDER_KEY).await;
    Tenant::create(&f.store, "another-key").await;
    let accounts = "SELECT count(DISTINCT account_id) FROM channels";
    assert_eq!(f.database.number(accounts).await, 2);
    // As before accounts had names.
    f.database.execute("UPDATE channels SET account_id = NULL").await;
    let both = [(f.tenant.workspace, f.tenant.channel.id), (other.workspace, other.channel.id)];
    assert_eq!(f.store.owned_channels(&both).await.expect("read").len(), 2);
    assert_eq!(f.database.number(accounts).await, 1);
}
