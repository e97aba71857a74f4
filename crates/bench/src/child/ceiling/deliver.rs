//! The ceiling's way out: one kept connection a sender, one call at a time on it, without a client's pool around it.

use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};

use super::Job;

/// Sends job after job and tells which have arrived.
pub(super) async fn deliver(
    sink: SocketAddr,
    jobs: Arc<Mutex<mpsc::Receiver<Job>>>,
    done: mpsc::Sender<i64>,
) -> Result<(), String> {
    let stream = TcpStream::connect(sink).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let (mut calls, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let host = HeaderValue::from_str(&sink.to_string()).map_err(|error| error.to_string())?;
    while let Some(job) = next(&jobs).await {
        let request = hyper::Request::post("/")
            .header(HOST, host.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(Full::new(job.body))
            .map_err(|error| error.to_string())?;
        calls.ready().await.map_err(|error| error.to_string())?;
        let answer = calls.send_request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        answer.into_body().collect().await.map_err(|error| error.to_string())?;
        if !status.is_success() {
            return Err(format!("the sink answered {status}"));
        }
        done.send(job.id).await.map_err(|_| "nobody completes")?;
    }
    Ok(())
}

async fn next(jobs: &Mutex<mpsc::Receiver<Job>>) -> Option<Job> {
    jobs.lock().await.recv().await
}
