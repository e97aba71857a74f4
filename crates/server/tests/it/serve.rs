//! `tuma serve` and the commands around it.

use serde_json::Value;

use crate::process::{Process, free_port, http, run, tuma, wait_for};

const TOKEN: &str = "an-admin-token-of-tests";
const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

struct Served {
    environment: Vec<(String, String)>,
    base: String,
    metrics: String,
}

impl Served {
    async fn on_empty_database() -> Self {
        Self::on(testkit::empty_database().await)
    }

    fn on(database: String) -> Self {
        let (port, metrics) = (free_port(), free_port());
        let environment = [
            ("TUMA_DATABASE_URL", database),
            ("TUMA_ADMIN_TOKEN", TOKEN.to_owned()),
            ("TUMA_SECRET_KEY", KEY.to_owned()),
            ("TUMA_LISTEN", format!("127.0.0.1:{port}")),
            ("TUMA_METRICS_LISTEN", format!("127.0.0.1:{metrics}")),
            ("TUMA_LIPACHAT_URL", "http://127.0.0.1:9".to_owned()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Self { environment, base: format!("http://127.0.0.1:{port}"), metrics: format!("http://127.0.0.1:{metrics}") }
    }

    fn environment(&self) -> Vec<(&str, &str)> {
        self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    fn start(&self) -> Process {
        Process::start(tuma(&["serve"], &self.environment()))
    }

    async fn status(&self, path: &str) -> Option<u16> {
        http().get(format!("{}{path}", self.metrics)).send().await.ok().map(|answer| answer.status().as_u16())
    }

    /// Processes that the database knows to answer requests.
    async fn serving_replicas(&self) -> i64 {
        let (_, url) = &self.environment[0];
        let client = store::connect::Database::parse(url).expect("an address").connect().await.expect("a connection");
        client.query_one("SELECT count(*) FROM serving_replicas", &[]).await.expect("an answer").get(0)
    }

    async fn wait_ready(&self) {
        wait_for(|| async { (self.status("/readyz").await == Some(200)).then_some(()) }).await;
    }

    fn admin(&self, args: &[&str]) -> (bool, Value, String) {
        let all = [&["admin", "--json", "--url", &self.base], args].concat();
        let done = run(&all, &[("TUMA_ADMIN_TOKEN", TOKEN)]);
        let answer = serde_json::from_slice(&done.stdout).unwrap_or_default();
        (done.status.success(), answer, String::from_utf8_lossy(&done.stderr).into_owned())
    }
}

#[test]
fn a_wrong_configuration_is_refused_with_all_its_problems_and_exit_code_78() {
    let refused = run(
        &["serve"],
        &[("TUMA_LISTN", "x"), ("TUMA_METRICS_LISTEN", "nowhere"), ("TUMA_SECRET_KEY", "dG9wc2VjcmV0")],
    );
    assert_eq!(refused.status.code(), Some(78));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    for line in [
        "TUMA_LISTN: unknown; did you mean TUMA_LISTEN?",
        "TUMA_METRICS_LISTEN: must be an address",
        "TUMA_SECRET_KEY: must be 32 bytes",
        "TUMA_DATABASE_URL: is required",
        "TUMA_ADMIN_TOKEN: is required",
    ] {
        assert!(said.contains(line), "{line} in\n{said}");
    }
    assert!(!said.contains("dG9wc2VjcmV0"), "{said}");
}

#[tokio::test]
async fn a_database_that_may_lose_what_it_acknowledges_is_refused_unless_that_is_allowed() {
    let safe = testkit::empty_database().await;
    let mut served = Served::on(format!("{safe}?options=-c%20synchronous_commit%3Dlocal"));
    for command in ["serve", "check"] {
        let refused = run(&[command], &served.environment());
        let said = [refused.stdout, refused.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        for part in [
            "synchronous_commit is local",
            "(from: client)",
            "the database's address",
            "TUMA_ALLOW_UNSAFE_DATABASE=true",
        ] {
            assert!(said.contains(part), "{command}: {part} in\n{said}");
        }
        assert_eq!(refused.status.code(), Some(if command == "serve" { 78 } else { 1 }));
    }
    let database = store::connect::Database::parse(&safe).expect("an address");
    assert!(!store::migrate::plan(&database).await.expect("a plan").is_empty(), "nothing was changed in it");
    served.environment.push(("TUMA_ALLOW_UNSAFE_DATABASE".to_owned(), "true".to_owned()));
    let mut process = served.start();
    served.wait_ready().await;
    let read = async |path: &str| {
        let answer = http().get(format!("{}{path}", served.metrics)).send().await.expect("an answer");
        answer.text().await.expect("a text")
    };
    assert!(read("/readyz").await.contains("synchronous_commit is local"));
    assert!(read("/metrics").await.contains("tuma_database_unsafe{setting=\"synchronous_commit\"} 1"));
    process.signal("TERM");
    assert!(process.wait().success());
}

#[tokio::test]
async fn an_empty_database_is_migrated_and_administered_and_the_process_stops_when_asked() {
    let served = Served::on_empty_database().await;
    let mut process = served.start();
    served.wait_ready().await;
    let (done, workspace, said) = served.admin(&["workspaces", "create", "--name", "Shop"]);
    assert!(done, "{said}");
    let workspace = workspace["id"].as_str().expect("an id").to_owned();
    let folder = tempfile::tempdir().expect("a folder");
    let key_file = folder.path().join("key");
    std::fs::write(&key_file, "lipachat-key\n").expect("a file");
    let key_file = key_file.to_str().expect("a path");
    let (done, changed, said) = served.admin(&["workspaces", "update", &workspace, "--set", "weight=3"]);
    assert!(done, "{said}");
    assert_eq!((&changed["weight"], &changed["name"]), (&3.into(), &"Shop".into()));
    let (done, channel, said) = served.admin(&[
        "channels",
        "create",
        "--workspace",
        &workspace,
        "--name",
        "Main",
        "--number",
        "+254110090747",
        "--provider-key-file",
        key_file,
        "--set",
        r#"recipientRate={"intervalSeconds":2,"burst":5}"#,
    ]);
    assert!(done, "{said}");
    assert_eq!(channel["messagesPerSecond"], 80);
    assert_eq!(channel["recipientRate"], serde_json::json!({ "intervalSeconds": 2, "burst": 5 }));
    assert!(!channel.to_string().contains("lipachat-key"));
    let channel = channel["id"].as_str().expect("an id").to_owned();
    let (done, changed, said) =
        served.admin(&["channels", "update", &channel, "--workspace", &workspace, "--messages-per-second", "20"]);
    assert!(done, "{said}");
    assert_eq!((&changed["messagesPerSecond"], &changed["name"]), (&20.into(), &"Main".into()));
    let (done, _, said) =
        served.admin(&["channels", "update", &channel, "--workspace", &workspace, "--set", "messagesPerMinute=2"]);
    assert!(!done && said.contains("messagesPerMinute"), "{said}");
    let (done, key, said) =
        served.admin(&["keys", "create", "--workspace", &workspace, "--name", "app", "--scopes", "messages:write"]);
    assert!(done, "{said}");
    let secret = key["accessKey"].as_str().expect("a secret").to_owned();
    let (_, listed, _) = served.admin(&["keys", "list", "--workspace", &workspace]);
    assert_eq!(listed["results"][0]["scopes"], serde_json::json!(["messages:write"]));
    assert!(!listed.to_string().contains(&secret), "a key is shown once");
    let (done, _, said) = served.admin(&["channels", "create", "--workspace", &workspace, "--number", "12"]);
    assert!(!done && said.contains(".number") && said.contains(".name") && said.contains(".providerKey"), "{said}");
    wait_for(|| async { (served.serving_replicas().await == 1).then_some(()) }).await;
    process.signal("TERM");
    wait_for(|| async { (served.status("/readyz").await == Some(503)).then_some(()) }).await;
    assert_eq!(served.status("/healthz").await, Some(200), "alive while it stops");
    assert!(process.wait().success());
    assert_eq!(served.serving_replicas().await, 0, "others need not share with it any longer");
}

#[tokio::test]
async fn a_database_that_is_away_at_the_start_is_waited_for() {
    let forward = free_port();
    let real = testkit::empty_database().await;
    let (credentials, rest) = real.split_once('@').expect("an address");
    let (target, name) = rest.split_once('/').expect("a database");
    let served = Served::on(format!("{credentials}@127.0.0.1:{forward}/{name}"));
    let mut process = served.start();
    wait_for(|| async { (served.status("/readyz").await == Some(503)).then_some(()) }).await;
    assert_eq!(served.status("/healthz").await, Some(200));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", forward)).await.expect("the port");
    let target = target.to_owned();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let target = target.clone();
            tokio::spawn(async move {
                let mut far = tokio::net::TcpStream::connect(target).await.expect("the database");
                drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
            });
        }
    });
    served.wait_ready().await;
    process.signal("TERM");
    assert!(process.wait().success());
}

#[tokio::test]
async fn migrations_are_planned_before_they_are_applied_and_applied_once() {
    let served = Served::on_empty_database().await;
    let environment = served.environment();
    let output = |args: &[&str]| String::from_utf8_lossy(&run(args, &environment).stdout).into_owned();
    assert!(output(&["migrate", "--plan"]).starts_with("would apply V0001__create_messages_and_outbox\n"));
    assert!(output(&["migrate"]).starts_with("applied V0001__create_messages_and_outbox\n"));
    assert_eq!(output(&["migrate"]), "nothing to apply\n");
    assert_eq!(output(&["migrate", "--plan"]), "nothing to apply\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_names_each_problem() {
    let upstream = sandbox::Sandbox::start(sandbox::Settings::default()).await.expect("a sandbox");
    let mut served = Served::on_empty_database().await;
    let failed = run(&["check"], &served.environment());
    let said = String::from_utf8_lossy(&failed.stdout).into_owned();
    assert_eq!(failed.status.code(), Some(1), "{said}");
    assert!(said.contains("FAIL  migrations: pending: V0001") && said.contains("FAIL  provider: "), "{said}");
    run(&["migrate"], &served.environment());
    served.environment.retain(|(name, _)| name != "TUMA_LIPACHAT_URL");
    served.environment.push(("TUMA_LIPACHAT_URL".to_owned(), upstream.url()));
    let passed = run(&["check"], &served.environment());
    let said = String::from_utf8_lossy(&passed.stdout).into_owned();
    assert!(passed.status.success() && !said.contains("FAIL"), "{said}");
    for what in ["configuration", "database", "durability", "migrations", "server", "clock", "secrets", "provider"] {
        assert!(said.contains(&format!("ok    {what}: ")), "{what} in\n{said}");
    }
    let broken = run(&["check"], &[("TUMA_LISTEN", "x")]);
    assert_eq!(broken.status.code(), Some(1));
}
