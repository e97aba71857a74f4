//! A revoked key ends on every replica, also on one that has just let it in.

use std::time::{Duration, Instant};

use reqwest::Method;

use crate::harness::{Harness, message};

/// A revoked key is refused everywhere within this time (contract, section 2).
const REVOCATION: Duration = Duration::from_secs(5);
/// Of a test machine that is busy with other things.
const GIVE_UP: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_revoked_key_is_refused_on_a_replica_that_did_not_revoke_it() {
    let harness = Harness::start().await;
    let replica = harness.start_replica().await;
    let (tenant, key) = (&harness.tenant, harness.access_key());
    let headers = [("Authorization", key.as_str())];
    let path = tenant.messages_path();
    // Used on both, so that both remember it.
    for address in [harness.address, replica.address] {
        let answer = harness.request_at(address, Method::POST, &path, &headers, Some(message().to_string())).await;
        answer.expect(202);
    }
    let revoke = format!("/workspaces/{}/access-keys/{}", tenant.workspace, tenant.access_key_id);
    assert!(harness.admin(Method::DELETE, &revoke, None).await.expect(200)["revokedAt"].is_string());
    let since = Instant::now();
    let ended = loop {
        let answer = harness.request_at(replica.address, Method::GET, &path, &headers, None).await;
        if answer.status == 401 {
            assert_eq!(answer.code(401), "Unauthorized");
            break since.elapsed();
        }
        answer.expect(200);
        assert!(since.elapsed() < GIVE_UP, "a revoked key still opens");
    };
    assert!(ended < REVOCATION, "refused after {ended:?}");
    for address in [harness.address, replica.address] {
        let answer = harness.request_at(address, Method::POST, &path, &headers, Some(message().to_string())).await;
        assert_eq!(answer.code(401), "Unauthorized");
    }
    assert_eq!(harness.rows("messages").await, 2);
    // The other tenant's key goes on.
    let theirs = format!("AccessKey {}", harness.other.access_key);
    let path = harness.other.messages_path();
    harness.request_at(replica.address, Method::GET, &path, &[("Authorization", &theirs)], None).await.expect(200);
    replica.stop().await;
    harness.stop().await;
}
