//! Request bodies: refused by type and coding, bounded in size and time, then parsed; also where there should be none.
//!
//! Handlers call this after the request was authenticated: a stranger's body is never read.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::web::{BytesMut, Payload};
use domain::violation::Violations;
use futures_util::StreamExt;
use serde_json::Value;

use crate::errors::ApiError;
use crate::json;
use crate::reader::Fields;

/// Body of one message: 200 KB (contract, section 2).
pub(crate) const MESSAGE_BYTES_MAX: usize = 200 * 1000;
/// A body that may only be empty: what is longer need not be read to be refused.
const EMPTY_BYTES_MAX: usize = 10_000;
/// From the first byte of the body to the last.
const ARRIVAL: Duration = Duration::from_secs(10);

/// Reads a JSON body.
///
/// # Errors
/// 415, 413, 408 or 400.
pub(crate) async fn read_json(request: &HttpRequest, payload: Payload, bytes_max: usize) -> Result<Value, ApiError> {
    check_head(request, bytes_max)?;
    json::parse(&arrived(payload, bytes_max).await?).map_err(ApiError::MalformedRequest)
}

/// Reads the body of a request that needs none: there is none, or an object without properties.
///
/// # Errors
/// 415, 413, 408, 400, or 422 with what it says.
pub(crate) async fn read_empty(request: &HttpRequest, payload: Payload) -> Result<(), ApiError> {
    let bytes = arrived(payload, EMPTY_BYTES_MAX).await?;
    if bytes.is_empty() {
        return Ok(());
    }
    check_head(request, EMPTY_BYTES_MAX)?;
    let body = json::parse(&bytes).map_err(ApiError::MalformedRequest)?;
    let mut violations = Violations::default();
    if let Some(fields) = Fields::of(&body, "", &mut violations) {
        fields.finish(&mut violations);
    }
    if violations.is_empty() { Ok(()) } else { Err(ApiError::InvalidPayload(violations)) }
}

async fn arrived(payload: Payload, bytes_max: usize) -> Result<BytesMut, ApiError> {
    tokio::time::timeout(ARRIVAL, read(payload, bytes_max)).await.map_err(|_| ApiError::RequestTimeout)?
}

fn check_head(request: &HttpRequest, bytes_max: usize) -> Result<(), ApiError> {
    let headers = request.headers();
    if headers.get_all(header::CONTENT_TYPE).count() > 1 {
        return Err(ApiError::UnsupportedMediaType("The content type is given more than once"));
    }
    let essence = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (essence, parameters) = essence.split_once(';').unwrap_or((essence, ""));
    if !essence.trim().eq_ignore_ascii_case("application/json") {
        return Err(ApiError::UnsupportedMediaType("The content type must be application/json"));
    }
    for parameter in parameters.split(';') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        if is_charset && !value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8") {
            return Err(ApiError::UnsupportedMediaType("The character set must be UTF-8"));
        }
    }
    if headers.get_all(header::CONTENT_ENCODING).any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(ApiError::UnsupportedMediaType("A compressed body is not accepted"));
    }
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<usize>().ok());
    if announced.is_some_and(|announced| announced > bytes_max) {
        return Err(ApiError::PayloadTooLarge(bytes_max));
    }
    Ok(())
}

async fn read(mut payload: Payload, bytes_max: usize) -> Result<BytesMut, ApiError> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| ApiError::MalformedRequest("the body broke off".to_owned()))?;
        if bytes.len() + chunk.len() > bytes_max {
            return Err(ApiError::PayloadTooLarge(bytes_max));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
