//! Tags: summed over their slots, in order of the tag, page by page.

use store::tag::TagUse;
use testkit::Tenant;

use crate::fixtures::Fixture;

#[tokio::test]
async fn tags_are_summed_over_their_slots_and_listed_in_both_orders() {
    let f = Fixture::new().await;
    let other = Tenant::create(&f.store, "another-key").await;
    let (workspace, stranger) = (f.tenant.workspace, other.workspace);
    f.database
        .execute(&format!(
            "INSERT INTO tags (workspace_id, tag, slot, messages, created_at, last_used_at) VALUES
            ('{workspace}', 'b', 0, 2, '2026-01-02T00:00:00Z', '2026-01-05T00:00:00Z'),
            ('{workspace}', 'b', 7, 3, '2026-01-01T00:00:00Z', '2026-01-04T00:00:00Z'),
            ('{workspace}', ' a', 1, 1, '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z'),
            ('{workspace}', 'z_z', 1, 1, '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z'),
            ('{workspace}', 'b-c', 1, 4, '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z'),
            ('{stranger}', 'b', 0, 9, '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z')"
        ))
        .await;
    let all = f.store.tags(workspace, None, 10).await.expect("read");
    assert_eq!(names(&all), [(" a", 1), ("b", 5), ("b-c", 4), ("z_z", 1)]);
    let summed = TagUse {
        tag: "b".to_owned(),
        messages: 5,
        created_at: "2026-01-01T00:00:00Z".parse().expect("an instant"),
        last_used_at: "2026-01-05T00:00:00Z".parse().expect("an instant"),
    };
    assert_eq!(all[1], summed);
    assert_eq!(names(&f.store.tags(workspace, Some("b"), 1).await.expect("read")), [("b-c", 4)]);
    let backwards = f.store.tags_backwards(workspace, None, 2).await.expect("read");
    assert_eq!(names(&backwards), [("z_z", 1), ("b-c", 4)]);
    assert_eq!(names(&f.store.tags_backwards(workspace, Some("b-c"), 5).await.expect("read")), [("b", 5), (" a", 1)]);
}

fn names(tags: &[TagUse]) -> Vec<(&str, i64)> {
    tags.iter().map(|tag| (tag.tag.as_str(), tag.messages)).collect()
}
