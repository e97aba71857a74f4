//! The OpenAPI document, and a page that shows it from files inside the program. Open to everybody.
//!
//! The policy forbids the page to load anything from another host.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use utoipa_swagger_ui::Config;

use crate::errors::ApiError;
use crate::openapi::document;
use crate::openapi::errors::FileErrors;

const PAGE: &str = include_str!("docs/page.html");
const START: &str = include_str!("docs/start.js");

/// Swagger UI's files that the page needs, of all that there are.
const FILES: [&str; 3] = ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"];

/// Swagger UI writes styles into elements and draws pictures from its style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

/// An hour: files change with the program only.
const FILE_CACHING: &str = "public, max-age=3600";

/// `GET /openapi.json`
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "getDocument",
    tag = "Documentation",
    summary = "Get this document",
    description = "OpenAPI 3.1.",
    security(()),
    responses((status = 200, description = "The document.", body = Object, content_type = "application/json"))
)]
pub(crate) async fn get_document() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(document::text())
}

/// `GET /docs`
#[utoipa::path(
    get,
    path = "/docs",
    operation_id = "getPage",
    tag = "Documentation",
    summary = "Show this document",
    description = "A page for people. It loads nothing from another host.",
    security(()),
    responses((status = 200, description = "The page.", body = String, content_type = "text/html"))
)]
pub(crate) async fn get_page() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(PAGE)
}

/// `GET /docs/{file}`
#[utoipa::path(
    get,
    path = "/docs/{file}",
    operation_id = "getFile",
    tag = "Documentation",
    summary = "Get a file of the page",
    description = "Its script, style sheet or icon.",
    security(()),
    params(("file" = String, Path, description = "Name of the file.", example = "swagger-ui.css")),
    responses(
        (status = 200, description = "The file.", content(
            (String = "text/javascript"), (String = "text/css"), (String = "image/png")
        )),
        FileErrors,
    )
)]
pub(crate) async fn get_file(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let name = request.match_info().get("file").unwrap_or_default();
    let (bytes, content_type) = if name == "start.js" {
        (Bytes::from_static(START.as_bytes()), "text/javascript".to_owned())
    } else {
        vendored(name).ok_or(ApiError::NotFound("file"))?
    };
    Ok(HttpResponse::Ok()
        .content_type(content_type)
        .insert_header((CACHE_CONTROL, FILE_CACHING))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(bytes))
}

/// A file of Swagger UI and its type.
fn vendored(name: &str) -> Option<(Bytes, String)> {
    let name = FILES.into_iter().find(|known| *known == name)?;
    let file = utoipa_swagger_ui::serve(name, Arc::new(Config::default())).ok().flatten()?;
    let bytes = match file.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    };
    Some((bytes, file.content_type))
}
