//! Requests a second of a workspace: reads and the rest each have their own limit, over all its keys and all replicas.
//!
//! A replica lets through its share: the limit divided by the replicas that answer requests. A workspace may use up a
//! second's share at once, which then comes back evenly. What is left is told on every answer, in the fields of the IETF
//! draft "RateLimit header fields for HTTP" (draft-ietf-httpapi-ratelimit-headers-10).

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::HttpMessage;
use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::Method;
use actix_web::http::header::{HeaderName, HeaderValue};
use domain::id::WorkspaceId;
use governor::clock::{Clock, DefaultClock, Reference};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use store::workspace::RequestLimits;

use crate::metrics::Metrics;

/// The window of a limit, and the longest time until a request is let through again or the whole share is there: a
/// share is at least one request a second and comes back within one.
pub(crate) const WINDOW_SECONDS: u32 = 1;
/// Workspaces whose use is known: about 2 MB. Past it those that have their whole share go, which changes nothing; if
/// none has, all go, and each begins a second anew.
const WORKSPACES_MAX: usize = 10_000;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What is limited by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Requests that read.
    Get,
    /// All others; a dry run and a whole batch are one each.
    Post,
}

impl Kind {
    fn of(method: &Method) -> Self {
        if method == Method::GET || method == Method::HEAD { Self::Get } else { Self::Post }
    }

    fn limit(self, limits: RequestLimits) -> u32 {
        match self {
            Self::Get => limits.gets_per_second,
            Self::Post => limits.posts_per_second,
        }
    }

    /// The name of the policy, and the label of the metric.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
        }
    }
}

/// What a request found; kept with it, so that its answer can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Standing {
    kind: Kind,
    /// Of the workspace, over all replicas.
    limit: u32,
    /// Further requests that this replica would let through now.
    remaining: u32,
    /// Whether this request was let through.
    pub(crate) is_allowed: bool,
}

/// What workspaces have used of their limits.
#[derive(Debug, Default)]
pub(crate) struct RequestRates<C: Clock = DefaultClock> {
    clock: C,
    used: Mutex<HashMap<WorkspaceId, Used<C>>>,
}

#[derive(Debug)]
struct Used<C: Clock> {
    gets: Share<C>,
    posts: Share<C>,
    last_at: C::Instant,
}

/// A replica's share of one limit.
#[derive(Debug)]
struct Share<C: Clock> {
    per_second: NonZeroU32,
    limiter: RateLimiter<NotKeyed, InMemoryState, C, StateInformationMiddleware>,
}

impl<C: Clock + Clone> RequestRates<C> {
    /// Counts a request of a workspace.
    pub(crate) fn count(
        &self,
        workspace: WorkspaceId,
        method: &Method,
        limits: RequestLimits,
        replicas: u32,
    ) -> Standing {
        let now = self.clock.now();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= WORKSPACES_MAX && !used.contains_key(&workspace) {
            make_room(&mut used, now);
        }
        let of_workspace = used.entry(workspace).or_insert_with(|| Used {
            gets: Share::new(share(limits.gets_per_second, replicas), &self.clock),
            posts: Share::new(share(limits.posts_per_second, replicas), &self.clock),
            last_at: now,
        });
        of_workspace.last_at = now;
        let kind = Kind::of(method);
        let limit = kind.limit(limits);
        let of_kind = match kind {
            Kind::Get => &mut of_workspace.gets,
            Kind::Post => &mut of_workspace.posts,
        };
        let per_second = share(limit, replicas);
        // A share that has changed begins whole.
        if of_kind.per_second != per_second {
            *of_kind = Share::new(per_second, &self.clock);
        }
        match of_kind.limiter.check() {
            Ok(left) => Standing { kind, limit, remaining: left.remaining_burst_capacity(), is_allowed: true },
            Err(_) => Standing { kind, limit, remaining: 0, is_allowed: false },
        }
    }
}

impl<C: Clock + Clone> Share<C> {
    fn new(per_second: NonZeroU32, clock: &C) -> Self {
        let limiter = RateLimiter::direct_with_clock(Quota::per_second(per_second), clock.clone()).with_middleware();
        Self { per_second, limiter }
    }
}

/// At least one, or a workspace with a low limit could not ask a replica at all.
fn share(limit: u32, replicas: u32) -> NonZeroU32 {
    NonZeroU32::new(limit / replicas.max(1)).unwrap_or(NonZeroU32::MIN)
}

fn make_room<C: Clock>(used: &mut HashMap<WorkspaceId, Used<C>>, now: C::Instant) {
    let window = Duration::from_secs(u64::from(WINDOW_SECONDS)).into();
    used.retain(|_, used| now.duration_since(used.last_at) < window);
    if used.len() >= WORKSPACES_MAX {
        used.clear();
    }
}

/// Tells on the answer what its request found, and counts a refusal.
pub(crate) fn show(response: &mut ServiceResponse<BoxBody>, metrics: Option<&Metrics>) {
    let standing = response.request().extensions().get::<Standing>().copied();
    let Some(standing) = standing else { return };
    if let Some(metrics) = metrics.filter(|_| !standing.is_allowed) {
        metrics.rate_limited.with_label_values(&[standing.kind.as_str()]).inc();
    }
    let [policy, left] = standing.fields();
    for (name, value) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, left)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
}

impl Standing {
    /// The values of `RateLimit-Policy` and `RateLimit`: lists of one string with parameters (RFC 9651).
    fn fields(&self) -> [String; 2] {
        let Self { kind, limit, remaining, .. } = self;
        let name = kind.as_str();
        [format!("\"{name}\";q={limit};w={WINDOW_SECONDS}"), format!("\"{name}\";r={remaining};t={WINDOW_SECONDS}")]
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;
    use uuid::Uuid;

    use super::*;

    const LIMITS: RequestLimits = RequestLimits { posts_per_second: 4, gets_per_second: 2 };

    fn rates() -> (RequestRates<FakeRelativeClock>, FakeRelativeClock) {
        let rates = RequestRates::<FakeRelativeClock>::default();
        let clock = rates.clock.clone();
        (rates, clock)
    }

    fn workspace(number: u128) -> WorkspaceId {
        WorkspaceId(Uuid::from_u128(number))
    }

    /// Requests let through of so many at once.
    fn allowed(
        rates: &RequestRates<FakeRelativeClock>,
        method: &Method,
        limits: RequestLimits,
        replicas: u32,
    ) -> usize {
        let tries = (0..20).map(|_| rates.count(workspace(1), method, limits, replicas));
        tries.filter(|standing| standing.is_allowed).count()
    }

    #[test]
    fn a_second_of_requests_is_let_through_at_once_and_comes_back_evenly() {
        let (rates, clock) = rates();
        assert_eq!(allowed(&rates, &Method::POST, LIMITS, 1), 4);
        clock.advance(Duration::from_millis(249));
        assert_eq!(allowed(&rates, &Method::POST, LIMITS, 1), 0);
        clock.advance(Duration::from_millis(1));
        assert_eq!(allowed(&rates, &Method::POST, LIMITS, 1), 1);
        clock.advance(Duration::from_millis(500));
        assert_eq!(allowed(&rates, &Method::POST, LIMITS, 1), 2);
        clock.advance(Duration::from_secs(60));
        assert_eq!(allowed(&rates, &Method::POST, LIMITS, 1), 4, "no more than a second's worth is saved up");
    }

    #[test]
    fn reads_are_counted_by_themselves() {
        let (rates, _) = rates();
        assert_eq!(allowed(&rates, &Method::GET, LIMITS, 1), 2);
        assert_eq!(allowed(&rates, &Method::HEAD, LIMITS, 1), 0, "reading is reading");
        assert_eq!(allowed(&rates, &Method::POST, LIMITS, 1), 4);
        for method in [Method::PATCH, Method::PUT, Method::DELETE] {
            assert_eq!(allowed(&rates, &method, LIMITS, 1), 0, "{method}");
        }
    }

    #[test]
    fn replicas_share_the_limit_and_none_is_left_without() {
        for (limit, replicas, each) in [(12, 0, 12), (12, 1, 12), (12, 2, 6), (12, 5, 2), (12, 13, 1), (1, 2, 1)] {
            let (rates, _) = rates();
            let limits = RequestLimits { posts_per_second: limit, gets_per_second: 1 };
            assert_eq!(allowed(&rates, &Method::POST, limits, replicas), each, "{limit} over {replicas}");
        }
    }

    #[test]
    fn a_changed_limit_or_number_of_replicas_holds_from_the_next_request() {
        let (rates, _) = rates();
        let higher = RequestLimits { posts_per_second: 10, ..LIMITS };
        assert_eq!(allowed(&rates, &Method::POST, LIMITS, 1), 4);
        assert_eq!(allowed(&rates, &Method::POST, higher, 1), 10);
        assert_eq!(allowed(&rates, &Method::POST, higher, 2), 5);
    }

    #[test]
    fn the_fields_say_the_limit_of_the_workspace_and_what_this_replica_has_left() {
        let (rates, _) = rates();
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(rates.count(workspace(1), &Method::POST, LIMITS, 2).fields());
        }
        let left = seen.iter().map(|[_, left]| left.as_str()).collect::<Vec<_>>();
        assert_eq!(left, ["\"post\";r=1;t=1", "\"post\";r=0;t=1", "\"post\";r=0;t=1"]);
        assert!(seen.iter().all(|[policy, _]| policy == "\"post\";q=4;w=1"), "{seen:?}");
        let [policy, left] = rates.count(workspace(1), &Method::GET, LIMITS, 1).fields();
        assert_eq!((policy.as_str(), left.as_str()), ("\"get\";q=2;w=1", "\"get\";r=1;t=1"));
    }

    #[test]
    fn workspaces_held_are_bounded_and_idle_ones_go_first() {
        let (rates, clock) = rates();
        let held = || rates.used.lock().expect("no test panics while it holds it").len();
        for number in 1..=WORKSPACES_MAX as u128 {
            rates.count(workspace(number), &Method::GET, LIMITS, 1);
        }
        assert_eq!(held(), WORKSPACES_MAX);
        clock.advance(Duration::from_millis(800));
        assert_eq!(allowed(&rates, &Method::POST, LIMITS, 1), 4);
        clock.advance(Duration::from_millis(200));
        rates.count(workspace(0), &Method::GET, LIMITS, 1);
        assert_eq!(held(), 2, "all but the busy one and the new one");
        assert_eq!(allowed(&rates, &Method::POST, LIMITS, 1), 0, "what the busy one used is still known");
        for number in 2..=2 * WORKSPACES_MAX as u128 {
            rates.count(workspace(number), &Method::GET, LIMITS, 1);
            assert!(held() <= WORKSPACES_MAX);
        }
    }
}
