//! The page for people loads nothing from another host.

use reqwest::Method;

use crate::harness::{Answer, Harness};

async fn get(harness: &Harness, path: &str) -> Answer {
    harness.request(Method::GET, path, &[], None).await
}

/// Values of an attribute of a page.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    page.split(&format!(" {name}=\"")).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[tokio::test]
async fn the_page_is_made_of_files_of_the_program() {
    let harness = Harness::start().await;
    let page = get(&harness, "/docs").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let files = [attributes(&page.text, "src"), attributes(&page.text, "href")].concat();
    assert_eq!(files.len(), 4, "{files:?}");
    for file in files {
        assert!(file.starts_with("docs/"), "{file} is not beside the page");
        let answer = get(&harness, &format!("/{file}")).await;
        let expected = match file.rsplit('.').next() {
            Some("js") => "text/javascript",
            Some("css") => "text/css",
            Some("png") => "image/png",
            other => panic!("{other:?} of {file}"),
        };
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(expected)), "{file}");
    }
    for unknown in ["/docs/", "/docs/index.html", "/docs/swagger-ui.js", "/docs/..%2fpage.html"] {
        assert_eq!(get(&harness, unknown).await.code(404), "NotFound", "{unknown}");
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_browser_may_load_nothing_for_the_page_from_another_host() {
    let harness = Harness::start().await;
    let page = get(&harness, "/docs").await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    for directive in policy.split(';') {
        for source in directive.split_whitespace().skip(1) {
            assert!(["'none'", "'self'", "'unsafe-inline'", "data:"].contains(&source), "{directive}");
        }
    }
    assert!(!policy.contains("script-src 'self' 'unsafe-inline'"), "scripts stand in files only");
    assert!(!page.text.contains("//"), "an address in the page");
    let styles = get(&harness, "/docs/swagger-ui.css").await.text;
    assert!(!styles.contains("@import"));
    for address in styles.split("url(").skip(1) {
        let address = address.trim_start_matches(['"', '\'']);
        assert!(address.starts_with("data:"), "{}", &address[..address.len().min(60)]);
    }
    // Swagger UI would otherwise ask a validator on another host, and take addresses of documents from the query.
    let start = get(&harness, "/docs/start.js").await.text;
    for setting in ["validatorUrl: null", "queryConfigEnabled: false", "url: \"openapi.json\""] {
        assert!(start.contains(setting), "{setting}");
    }
    harness.stop().await;
}
