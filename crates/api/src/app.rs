//! The application: what handlers share, which path leads where, what wraps every request.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpResponse, Resource, ResponseError, Route};
use domain::id::ChannelId;
use domain::message::Lane;
use domain::provider::Preview;
use futures_util::FutureExt;
use jiff::Timestamp;
use secrecy::SecretString;
use store::Store;
use store::writer::AcceptWriter;
use tokio::sync::Semaphore;
use tracing::Instrument;
use uuid::Uuid;

use crate::access::Access;
use crate::backlog::Backlogs;
use crate::errors::ApiError;
use crate::metrics::Metrics;
use crate::rate_limit;
use crate::routes::actions::WORKERS_MAX;
use crate::routes::{
    actions, acts, admin, batch, channels, contacts, docs, explain, message_lists, messages, pauses, quiet_hours, tags,
    uploads,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MESSAGEBIRD_REQUEST_ID: HeaderName = HeaderName::from_static("messagebird-request-id");

/// Told after a commit that something of a channel's lane is due, and since when.
pub type DueHint = Arc<dyn Fn(ChannelId, Lane, Timestamp) + Send + Sync>;

/// What handlers share.
pub struct Api {
    pub(crate) store: Store,
    pub(crate) writer: AcceptWriter,
    pub(crate) access: Access,
    pub(crate) backlogs: Backlogs,
    pub(crate) metrics: Metrics,
    pub(crate) due: DueHint,
    pub(crate) preview: Arc<dyn Preview>,
    pub(crate) admin_token: SecretString,
    pub(crate) cursor_key: [u8; 32],
    /// Turns at acts on many messages.
    pub(crate) workers: Semaphore,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Api {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        store: Store,
        writer: AcceptWriter,
        metrics: Metrics,
        due: DueHint,
        preview: Arc<dyn Preview>,
        admin_token: SecretString,
    ) -> Self {
        let cursor_key = store.cursor_key();
        Self {
            store,
            writer,
            access: Access::default(),
            backlogs: Backlogs::default(),
            metrics,
            due,
            preview,
            admin_token,
            cursor_key,
            workers: Semaphore::new(WORKERS_MAX),
        }
    }
}

/// Adds all routes to an application.
pub fn configure(config: &mut ServiceConfig, api: Data<Api>) {
    let scope = web::scope("").app_data(api).wrap(from_fn(around));
    let scope = resources().into_iter().fold(scope, |scope, served| scope.service(served.resource));
    config.service(scope.default_service(web::to(|| async { Err::<HttpResponse, _>(ApiError::NotFound("path")) })));
}

/// Every path that is served, with its methods as `Allow` names them.
#[must_use]
pub fn served_routes() -> Vec<(&'static str, &'static str)> {
    resources().into_iter().map(|served| (served.path, served.allowed)).collect()
}

/// A path, its methods, and what serves them.
struct Served {
    path: &'static str,
    allowed: &'static str,
    resource: Resource,
}

impl Served {
    fn route(mut self, route: Route) -> Self {
        self.resource = self.resource.route(route);
        self
    }
}

/// The one table of what is served.
fn resources() -> Vec<Served> {
    [of_messages(), of_workspaces(), of_operators()].into_iter().flatten().collect()
}

fn of_messages() -> Vec<Served> {
    vec![
        resource("/workspaces/{workspaceId}/channels/{channelId}/messages", "GET, POST")
            .route(web::post().to(messages::send_message))
            .route(web::get().to(message_lists::list_channel_messages)),
        resource("/workspaces/{workspaceId}/channels/{channelId}/batch/messages", "POST")
            .route(web::post().to(batch::send_batch)),
        // Before the messages, one of whose ids it would otherwise be taken for.
        resource("/workspaces/{workspaceId}/channels/{channelId}/messages/actions", "POST")
            .route(web::post().to(actions::act_on_messages)),
        resource("/workspaces/{workspaceId}/channels/{channelId}/messages/actions/{actionId}", "GET")
            .route(web::get().to(actions::get_action)),
        resource("/workspaces/{workspaceId}/channels/{channelId}/messages/{messageId}", "GET, PATCH, DELETE")
            .route(web::get().to(messages::get_message))
            .route(web::patch().to(acts::reschedule_message))
            .route(web::delete().to(acts::cancel_message)),
        resource("/workspaces/{workspaceId}/channels/{channelId}/messages/{messageId}/hold", "POST")
            .route(web::post().to(acts::hold_message)),
        resource("/workspaces/{workspaceId}/channels/{channelId}/messages/{messageId}/release", "POST")
            .route(web::post().to(acts::release_message)),
        resource("/workspaces/{workspaceId}/channels/{channelId}/messages/{messageId}/replay", "POST")
            .route(web::post().to(acts::replay_message)),
        resource("/workspaces/{workspaceId}/channels/{channelId}/messages/{messageId}/explain", "GET")
            .route(web::get().to(explain::explain_message)),
        // Before the channel, whose id it would otherwise be taken for.
        resource("/workspaces/{workspaceId}/channels/messages", "GET")
            .route(web::get().to(message_lists::list_workspace_messages)),
    ]
}

fn of_workspaces() -> Vec<Served> {
    vec![
        resource("/workspaces/{workspaceId}/channels", "GET").route(web::get().to(channels::list_channels)),
        resource("/workspaces/{workspaceId}/channels/{channelId}", "GET").route(web::get().to(channels::get_channel)),
        resource("/workspaces/{workspaceId}/channels/{channelId}/contacts/{contactId}", "GET")
            .route(web::get().to(contacts::get_contact)),
        resource("/workspaces/{workspaceId}/quiet-hours", "GET, PUT")
            .route(web::get().to(quiet_hours::get_quiet_hours))
            .route(web::put().to(quiet_hours::put_quiet_hours)),
        resource("/workspaces/{workspaceId}/channels/{channelId}/quiet-hours", "GET, PUT, DELETE")
            .route(web::get().to(quiet_hours::get_channel_quiet_hours))
            .route(web::put().to(quiet_hours::put_channel_quiet_hours))
            .route(web::delete().to(quiet_hours::delete_channel_quiet_hours)),
        resource("/workspaces/{workspaceId}/pauses", "GET, POST")
            .route(web::get().to(pauses::list_pauses))
            .route(web::post().to(pauses::create_pause)),
        resource("/workspaces/{workspaceId}/pauses/{pauseId}", "GET, DELETE")
            .route(web::get().to(pauses::get_pause))
            .route(web::delete().to(pauses::end_pause)),
        resource("/workspaces/{workspaceId}/tags", "GET").route(web::get().to(tags::list_tags)),
        resource("/workspaces/{workspaceId}/channels/{channelId}/presigned-upload", "POST")
            .route(web::post().to(uploads::refuse_channel_upload)),
        resource("/workspaces/{workspaceId}/channel-media/presigned-upload", "POST")
            .route(web::post().to(uploads::refuse_workspace_upload)),
    ]
}

fn of_operators() -> Vec<Served> {
    vec![
        resource("/admin/workspaces", "GET, POST")
            .route(web::post().to(admin::workspaces::create_workspace))
            .route(web::get().to(admin::workspaces::list_workspaces)),
        resource("/admin/workspaces/{workspaceId}", "GET, PATCH")
            .route(web::get().to(admin::workspaces::get_workspace))
            .route(web::patch().to(admin::workspaces::update_workspace)),
        resource("/admin/workspaces/{workspaceId}/channels", "GET, POST")
            .route(web::post().to(admin::channels::create_channel))
            .route(web::get().to(admin::channels::list_channels)),
        resource("/admin/workspaces/{workspaceId}/channels/{channelId}", "GET, PATCH")
            .route(web::get().to(admin::channels::get_channel))
            .route(web::patch().to(admin::channels::update_channel)),
        resource("/admin/workspaces/{workspaceId}/access-keys", "GET, POST")
            .route(web::post().to(admin::access_keys::create_access_key))
            .route(web::get().to(admin::access_keys::list_access_keys)),
        resource("/admin/workspaces/{workspaceId}/access-keys/{accessKeyId}", "DELETE")
            .route(web::delete().to(admin::access_keys::revoke_access_key)),
        resource("/admin/workspaces/{workspaceId}/erasures", "POST")
            .route(web::post().to(admin::erasures::erase_recipient)),
        resource("/admin/sending-hold", "GET, DELETE")
            .route(web::get().to(admin::sending::get_hold))
            .route(web::delete().to(admin::sending::release)),
        resource("/openapi.json", "GET").route(web::get().to(docs::get_document)),
        resource("/docs", "GET").route(web::get().to(docs::get_page)),
        resource("/docs/{file}", "GET").route(web::get().to(docs::get_file)),
    ]
}

fn resource(path: &'static str, allowed: &'static str) -> Served {
    let refuse = move || async move { Err::<HttpResponse, _>(ApiError::MethodNotAllowed(allowed)) };
    Served { path, allowed, resource: web::resource(path).default_service(web::to(refuse)) }
}

/// Around every request: an id for it, a span for its log lines, its metrics, and an answer even when a handler panics.
async fn around(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let started = Instant::now();
    let id = Uuid::new_v4().to_string();
    let route = request.match_pattern().unwrap_or_else(|| "unknown".to_owned());
    let method = known_method(request.method().as_str());
    let api = request.app_data::<Data<Api>>().cloned();
    let metrics = api.as_ref().map(|api| &api.metrics);
    let span = tracing::info_span!("request", id, method, route);
    let called = AssertUnwindSafe(async { next.call(request).await }).catch_unwind().instrument(span).await;
    let mut answered = match called {
        Ok(Ok(response)) => {
            let mut response = response.map_into_boxed_body();
            rate_limit::show(&mut response, metrics);
            Ok(response)
        }
        Ok(Err(error)) => Err(error.error_response()),
        Err(_) => {
            tracing::error!(id, route, "a handler panicked");
            Err(ApiError::Internal.error_response())
        }
    };
    let status = match &mut answered {
        Ok(response) => mark(response.response_mut(), &id),
        Err(response) => mark(response, &id),
    };
    if let Some(metrics) = metrics {
        metrics.requests.with_label_values(&[route.as_str(), method, status.as_str()]).inc();
        metrics.request_seconds.with_label_values(&[&route]).observe(started.elapsed().as_secs_f64());
    }
    answered.map_err(|response| InternalError::from_response("refused", response).into())
}

/// Puts the request's id on an answer; answers its status.
fn mark(response: &mut HttpResponse, id: &str) -> StatusCode {
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(REQUEST_ID, value.clone());
        response.headers_mut().insert(MESSAGEBIRD_REQUEST_ID, value);
    }
    response.status()
}

/// A closed set of labels: a method is whatever a client writes.
fn known_method(method: &str) -> &'static str {
    ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::CONTENT_TYPE;
    use actix_web::{App, test};

    use super::*;

    async fn breaks_down() -> HttpResponse {
        panic!("of a test")
    }

    #[actix_web::test]
    async fn a_handler_that_panics_is_answered_in_the_shape_of_errors_with_an_id() {
        let routes = web::scope("").wrap(from_fn(around)).route("/breaks-down", web::get().to(breaks_down));
        let app = test::init_service(App::new().service(routes)).await;
        let request = test::TestRequest::get().uri("/breaks-down").to_request();
        let error = test::try_call_service(&app, request).await.expect_err("an error for the dispatcher");
        let answer = error.error_response();
        assert_eq!(answer.status(), 500);
        assert!(answer.headers().contains_key(REQUEST_ID) && answer.headers().contains_key(MESSAGEBIRD_REQUEST_ID));
        assert_eq!(answer.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes), Some(&b"application/json"[..]));
        let body = actix_web::body::to_bytes(answer.into_body()).await.expect("a body");
        assert!(body.starts_with(br#"{"code":"InternalError","message":""#), "{body:?}");
    }
}
