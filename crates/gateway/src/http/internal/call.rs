//! Call of the internal API: an authorized request, with its route and caller.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use bus::SessionKey;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use protocol::api::table::{ApiRoute, IdempotencyKey};
use protocol::cluster::origin::Origin;
use protocol::id::UserId;
use protocol::trace::TraceParent;
use tracing::{Instrument, Span};
use url::form_urlencoded;

use super::budget::InFlight;
use super::error::ApiError;
use super::route::PathValues;
use crate::handshake::request::user_agent;
use crate::ids;
use crate::settings::InternalCaller;
use crate::trace::HttpRoute;
use crate::workers::Requester;

/// Head of a request.
#[derive(Clone, Copy)]
pub(super) struct RequestHead<'a> {
    /// Address of the calling server.
    pub(super) peer: Option<SocketAddr>,
    pub(super) parts: &'a Parts,
}

impl RequestHead<'_> {
    /// Origin of the request, if its address is known.
    fn origin(&self) -> Option<Origin> {
        self.peer
            .map(|peer| Origin::of_peer(peer.ip(), user_agent(&self.parts.headers)))
    }
}

/// Authorized call.
pub(super) struct Call<'a> {
    pub(super) route: &'static ApiRoute,
    pub(super) values: PathValues<'a>,
    pub(super) caller: Arc<InternalCaller>,
    pub(super) head: RequestHead<'a>,
    /// Scheme of the request.
    pub(super) scheme: &'static str,
    /// Trace context of the request.
    pub(super) traceparent: Option<TraceParent>,
    pub(super) in_flight: InFlight,
}

impl<'a> Call<'a> {
    /// User that the first parameter of the path names.
    pub(super) fn user(&self) -> Result<UserId, ApiError> {
        super::user_id(&decoded(self.values.first())?)
    }

    /// Parameter of the path with this name, decoded.
    pub(super) fn parameter(&self, name: &str) -> Result<Cow<'a, str>, ApiError> {
        decoded(self.values.named(self.route.path, name).unwrap_or_default())
    }

    /// Query parameter of this name, if the request has it.
    pub(super) fn query(&self, name: &str) -> Option<Cow<'a, str>> {
        let found = self.queries().find(|(given, _)| given == name);
        found.map(|(_, value)| value)
    }

    /// Checks the query and the header `Idempotency-Key` against the route.
    pub(super) fn check(&self) -> Result<(), ApiError> {
        let mut given: Vec<Cow<'_, str>> = Vec::new();
        for (name, _) in self.queries() {
            if !self.route.query.iter().any(|known| known.name == name) {
                return Err(ApiError::invalid("query: this path does not have such a parameter"));
            }
            if given.contains(&name) {
                return Err(ApiError::invalid(format!("{name}: this parameter was expected once")));
            }
            given.push(name);
        }
        let in_body = self.route.idempotency == IdempotencyKey::Body;
        if in_body && self.head.parts.headers.contains_key(IDEMPOTENCY_KEY) {
            return Err(ApiError::invalid(
                "Idempotency-Key: this path takes the member idempotencyKey of the body instead",
            ));
        }
        Ok(())
    }

    /// Key of the header `Idempotency-Key`, if the route takes it and the request has one. A key in quotes is the key between them
    /// (a string of RFC 9651).
    pub(super) fn idempotency_key(&self) -> Result<Option<String>, ApiError> {
        let mut given = self.head.parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(key) = given
            .next()
            .filter(|_| self.route.idempotency == IdempotencyKey::Header)
        else {
            return Ok(None);
        };
        let text = key.to_str().ok().filter(|_| given.next().is_none());
        let quoted = |text: &str| {
            text.strip_prefix('"')
                .and_then(|text| text.strip_suffix('"'))
                .map(ToOwned::to_owned)
        };
        let key = text.map(|text| quoted(text).unwrap_or_else(|| text.to_owned()));
        let key = key.filter(|key| (1..=MAX_KEY).contains(&key.len()));
        key.map(Some).ok_or_else(|| {
            ApiError::invalid("Idempotency-Key: one key of 1 to 128 printable ASCII characters was expected")
        })
    }

    /// Party on whose behalf the call's job about this user runs.
    pub(super) fn requester(&self, user: &UserId) -> Requester {
        let session = SessionKey {
            user: user.clone(),
            session: ids::internal_api(self.caller.name.as_deref()),
        };
        Requester::internal_api(session, self.head.origin(), self.traceparent)
    }

    /// Runs the operation of the call in its spans, and logs the outcome. `user` is none if the operation is about several.
    pub(super) async fn run(
        &self,
        user: Option<&UserId>,
        operation: impl Future<Output = Result<Response, ApiError>>,
    ) -> Response {
        // Pinned here: a future that is moved into its span is copied.
        let logged = pin!(async {
            let outcome = operation.await;
            match &outcome {
                Ok(response) => tracing::debug!(status = response.status().as_u16(), "internal API request served"),
                Err(error) => tracing::debug!(?error, "internal API request failed"),
            }
            outcome.unwrap_or_else(IntoResponse::into_response)
        });
        let response = logged.instrument(self.span(user));
        let route = HttpRoute {
            method: self.route.method,
            path: self.route.path,
        };
        route.serve_trusted(self.scheme, self.traceparent, response).await
    }

    /// Span of the log. At DEBUG, as the lines of a call are: at INFO it took a tenth of the CPU of a publish.
    fn span(&self, user: Option<&UserId>) -> Span {
        let (scope, user) = (self.route.scope.as_str(), user.map(tracing::field::display));
        tracing::debug_span!("internal_api", caller = self.caller.label(), scope, user)
    }

    fn queries(&self) -> form_urlencoded::Parse<'a> {
        let query = self.head.parts.uri.query().unwrap_or_default();
        form_urlencoded::parse(query.as_bytes())
    }
}

fn decoded(value: &str) -> Result<Cow<'_, str>, ApiError> {
    percent_decode_str(value)
        .decode_utf8()
        .map_err(|_not_utf8| ApiError::UnreadablePath)
}

/// Header of an idempotency key (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Maximum length of an idempotency key.
const MAX_KEY: usize = 128;
