//! What the machine itself can do: the same steps without a queue between them.

use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

use crate::figures::{milliseconds, per_second};
use crate::rig::{Rig, client};

/// One step at a time, as the latency scenario does it.
const STEPS: usize = 500;
const BODY: &str =
    r#"{"receiver":{"contacts":[{"identifierValue":"+254712345678"}]},"body":{"type":"text","text":{"text":"limit"}}}"#;

/// Round trips to an echo server, to the sink and to the database.
pub(crate) async fn measure(rig: &Rig) -> Result<Value, String> {
    Ok(json!({
        "echoServer": echo().await?,
        "plainClientToSink": plain_client(rig).await?,
        "oneRowCommit": one_row_commit(rig).await?
    }))
}

async fn echo() -> Result<Value, String> {
    let server = HttpServer::new(|| {
        App::new().route("/", web::post().to(|body: web::Bytes| async { HttpResponse::Ok().body(body) }))
    })
    .workers(1)
    .disable_signals()
    .bind(("127.0.0.1", 0))
    .map_err(|error| error.to_string())?;
    let address = server.addrs().first().copied().ok_or("no address")?;
    let server = server.run();
    let handle = server.handle();
    let task = tokio::spawn(server);
    let figures = posts(&format!("http://{address}/")).await;
    handle.stop(false).await;
    drop(task.await);
    figures
}

async fn plain_client(rig: &Rig) -> Result<Value, String> {
    posts(&format!("{}/api/v1/whatsapp/message/text", rig.sink.url())).await
}

async fn posts(url: &str) -> Result<Value, String> {
    let http = client()?;
    timed(|| async {
        let request = http.post(url).header("content-type", "application/json").header("apiKey", "limit").body(BODY);
        let answer = request.send().await.map_err(|error| error.to_string())?;
        answer.bytes().await.map(drop).map_err(|error| error.to_string())
    })
    .await
}

async fn one_row_commit(rig: &Rig) -> Result<Value, String> {
    let (client, connection) =
        tokio_postgres::connect(&rig.database_url, tokio_postgres::NoTls).await.map_err(|error| error.to_string())?;
    let connection = tokio::spawn(connection);
    let text = |error: tokio_postgres::Error| error.to_string();
    client
        .batch_execute("CREATE TABLE one_row_commit (id bigint GENERATED ALWAYS AS IDENTITY, body text)")
        .await
        .map_err(text)?;
    let statement = client.prepare("INSERT INTO one_row_commit (body) VALUES ($1)").await.map_err(text)?;
    let (client, statement) = (&client, &statement);
    let figures = timed(|| async move { client.execute(statement, &[&BODY]).await.map(drop).map_err(text) }).await;
    connection.abort();
    figures
}

async fn timed<F: Future<Output = Result<(), String>>>(mut step: impl FnMut() -> F) -> Result<Value, String> {
    let begun = Instant::now();
    let mut samples: Vec<Duration> = Vec::with_capacity(STEPS);
    for _ in 0..STEPS {
        let started = Instant::now();
        step().await?;
        samples.push(started.elapsed());
    }
    let rate = per_second(STEPS, begun);
    Ok(json!({ "oneByOnePerSecond": rate, "milliseconds": milliseconds(samples) }))
}
