//! What the machine charges for any server of this kind: actix-web with the gateway's settings, and a handler that only
//! reads the body, sends it back, or also commits it as one row.
//!
//! The one row is the price of a commit a request on one connection, without the gateway's groups, which the gateway
//! may well undercut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Bytes, Data, ServiceConfig};
use actix_web::{App, HttpResponse, HttpServer};
use tokio_postgres::{Client, NoTls, Statement};

/// Time-outs as the gateway has them: a timer a connection is part of the price.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(75);

struct Row {
    client: Client,
    insert: Statement,
}

/// Starts the server that only reads the body.
pub(super) fn start_empty() -> Result<SocketAddr, String> {
    serve(None, |config| {
        config.default_service(web::to(read));
    })
}

/// Starts the server that sends the body back.
pub(super) fn start_echo() -> Result<SocketAddr, String> {
    serve(None, |config| {
        config.default_service(web::to(echo));
    })
}

/// Starts the server that commits a row a request.
pub(super) async fn start_one_row(database_url: &str) -> Result<SocketAddr, String> {
    let text = |error: tokio_postgres::Error| error.to_string();
    let (client, connection) = tokio_postgres::connect(database_url, NoTls).await.map_err(text)?;
    tokio::spawn(connection);
    client
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS one_row_a_request (id bigint GENERATED ALWAYS AS IDENTITY, body text)",
        )
        .await
        .map_err(text)?;
    let insert = client.prepare("INSERT INTO one_row_a_request (body) VALUES ($1)").await.map_err(text)?;
    let row = Data::from(Arc::new(Row { client, insert }));
    serve(None, move |config| {
        config.app_data(row.clone()).default_service(web::to(commit));
    })
}

/// Serves on a free port, with so many threads, else as many as there are processors.
pub(super) fn serve(
    workers: Option<usize>,
    configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> Result<SocketAddr, String> {
    let server = HttpServer::new(move || App::new().configure(configure.clone()))
        .client_request_timeout(HEAD_TIMEOUT)
        .keep_alive(KEEP_ALIVE)
        .disable_signals();
    let server = match workers {
        Some(workers) => server.workers(workers),
        None => server,
    };
    let server = server.bind(("127.0.0.1", 0)).map_err(|error| error.to_string())?;
    let address = server.addrs().first().copied().ok_or("no address")?;
    tokio::spawn(server.run());
    Ok(address)
}

async fn read(body: Bytes) -> HttpResponse {
    if body.is_empty() { HttpResponse::BadRequest().finish() } else { HttpResponse::Accepted().finish() }
}

async fn echo(body: Bytes) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(body)
}

async fn commit(row: Data<Row>, body: Bytes) -> HttpResponse {
    let Ok(text) = std::str::from_utf8(&body) else { return HttpResponse::BadRequest().finish() };
    match row.client.execute(&row.insert, &[&text]).await {
        Ok(_) => HttpResponse::Accepted().finish(),
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}
