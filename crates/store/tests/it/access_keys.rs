//! Access keys: the secret is nowhere, a revoked key opens nothing.

use domain::id::{AccessKeyId, WorkspaceId};
use secrecy::{ExposeSecret, SecretString};
use store::access_key::{hash_of, new_secret};
use store::audit::Act;
use store::error::Error;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::fixtures::{Fixture, connect};

const ACT: Act<'_> = Act { actor: "test", name: "test" };

#[tokio::test]
async fn only_the_hash_of_a_key_is_stored() {
    let f = Fixture::new().await;
    let secret = &f.tenant.access_key;
    let client = connect(&f.database.url).await;
    assert_eq!(occurrences(&client, secret).await, Vec::<String>::new());
    // Not without its prefix either, and the search does find what is there.
    assert_eq!(occurrences(&client, &secret[5..69]).await, Vec::<String>::new());
    assert_eq!(occurrences(&client, &f.tenant.access_key_id.to_string()).await, ["access_keys", "audit"]);
    let found = f.store.find_access_key(hash_of(secret).expect("a key")).await.expect("read").expect("known");
    assert_eq!((found.id, found.workspace, found.revoked_at), (f.tenant.access_key_id, f.tenant.workspace, None));
}

#[tokio::test]
async fn a_revoked_key_is_not_found() {
    let f = Fixture::new().await;
    let (workspace, id) = (f.tenant.workspace, f.tenant.access_key_id);
    let hash = hash_of(&f.tenant.access_key).expect("a key");
    let first = f.store.revoke_access_key(workspace, id, &ACT).await.expect("revoked").expect("known");
    assert!(first.revoked_at.is_some());
    assert!(f.store.find_access_key(hash).await.expect("read").is_none());
    // Again has no effect; it stays listed.
    let second = f.store.revoke_access_key(workspace, id, &ACT).await.expect("revoked").expect("known");
    assert_eq!(second.revoked_at, first.revoked_at);
    let listed = f.store.access_keys(workspace, AccessKeyId(Uuid::nil()), 10).await.expect("read");
    assert_eq!(listed, [second]);
}

#[tokio::test]
async fn a_key_is_revoked_only_by_its_own_workspace() {
    let f = Fixture::new().await;
    let stranger = WorkspaceId(Uuid::new_v4());
    assert!(f.store.revoke_access_key(stranger, f.tenant.access_key_id, &ACT).await.expect("answered").is_none());
    let hash = hash_of(&f.tenant.access_key).expect("a key");
    assert!(f.store.find_access_key(hash).await.expect("read").is_some());
}

#[tokio::test]
async fn a_key_that_was_never_made_is_not_found_and_a_bad_one_not_stored() {
    let f = Fixture::new().await;
    let unknown = hash_of(new_secret().expose_secret()).expect("a key");
    assert!(f.store.find_access_key(unknown).await.expect("read").is_none());
    let id = AccessKeyId(Uuid::new_v4());
    let bad =
        f.store.create_access_key(f.tenant.workspace, id, "bad", &SecretString::from("tuma_short"), &[], &ACT).await;
    assert!(matches!(bad, Err(Error::Corrupt(_))), "{bad:?}");
    let nowhere = f.store.create_access_key(WorkspaceId(Uuid::new_v4()), id, "lost", &new_secret(), &[], &ACT).await;
    assert!(matches!(nowhere, Err(Error::Refused { .. })), "{nowhere:?}");
    let taken =
        f.store.create_access_key(f.tenant.workspace, f.tenant.access_key_id, "twice", &new_secret(), &[], &ACT).await;
    assert!(matches!(taken, Err(Error::Exists)), "{taken:?}");
}

/// The tables that hold a text, as it is or as bytes.
pub(crate) async fn occurrences(client: &Client, text: &str) -> Vec<String> {
    let tables = client
        .query("SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind = 'r' ORDER BY 1", &[])
        .await
        .expect("tables are listed");
    assert!(tables.len() > 10);
    let bytes: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut found = Vec::new();
    for row in &tables {
        let table: String = row.get(0);
        let sql = format!("SELECT count(*) FROM {table} t WHERE strpos(t::text, $1) > 0 OR strpos(t::text, $2) > 0");
        let count: i64 = client.query_one(&sql, &[&text, &bytes]).await.expect("a table is searched").get(0);
        if count > 0 {
            found.push(table);
        }
    }
    found
}
