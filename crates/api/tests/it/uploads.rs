//! Uploads of files: refused with a text that says what to do instead, after all that is checked of any request.

use reqwest::Method;
use serde_json::json;

use crate::harness::Harness;
use crate::table::key_with_scope;

#[tokio::test]
async fn an_upload_is_refused_with_what_to_do_instead() {
    let harness = Harness::start().await;
    let (tenant, other) = (&harness.tenant, &harness.other);
    let of_channel = format!("/workspaces/{}/channels/{}/presigned-upload", tenant.workspace, tenant.channel.id);
    let of_workspace = format!("/workspaces/{}/channel-media/presigned-upload", tenant.workspace);
    let key = harness.access_key();
    let post = async |path: &str, key: &str, body: String| {
        harness.request(Method::POST, path, &[("Authorization", key)], Some(body)).await
    };
    let text = "files cannot be uploaded: Lipachat takes URLs only. Put the file at a public https address and give it as mediaUrl";
    for path in [&of_channel, &of_workspace] {
        for (body, at) in [("{\"contentType\":\"image/jpeg\"}", ".contentType"), ("{}", "."), ("[]", ".")] {
            let refused = post(path, &key, body.to_owned()).await;
            assert_eq!(refused.code(422), "InvalidPayload", "{path}");
            assert_eq!(refused.json()["details"], json!({ at: [text] }), "{path}");
        }
        assert_eq!(post(path, &key, "{".to_owned()).await.code(400), "MalformedRequest");
        assert_eq!(post(path, &key, "x".repeat(200_001)).await.code(413), "PayloadTooLarge");
        let bare = harness.request(Method::POST, path, &[("Authorization", &key)], None).await;
        assert_eq!(bare.code(415), "UnsupportedMediaType");
        assert_eq!(harness.get(path).await.code(405), "MethodNotAllowed");
        assert_eq!(post(path, "AccessKey x", "{}".to_owned()).await.code(401), "Unauthorized");
        let reader = format!("AccessKey {}", key_with_scope(&harness, "messages:read").await);
        assert_eq!(post(path, &reader, "{}".to_owned()).await.code(403), "Forbidden");
    }
    for path in [
        format!("/workspaces/{}/channels/{}/presigned-upload", tenant.workspace, other.channel.id),
        format!("/workspaces/{}/channel-media/presigned-upload", other.workspace),
    ] {
        assert_eq!(post(&path, &key, "{}".to_owned()).await.code(404), "NotFound", "{path}");
    }
    harness.stop().await;
}
