//! Call of the internal API: its caller, identified by a bearer token with scopes.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use bus::SessionKey;
use http::HeaderMap;
use protocol::cluster::origin::Origin;
use protocol::id::UserId;
use protocol::trace::TraceParent;
use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::Internal;
use super::error::ApiError;
use crate::handshake::request::{bearer, user_agent};
use crate::ids;
use crate::label::Label;
use crate::metrics::InternalRefusal;
use crate::settings::{InternalCaller, Scope};
use crate::trace::{HttpRoute, received};
use crate::workers::Requester;

/// Head of a request.
#[derive(Clone, Copy)]
pub(super) struct RequestHead<'a> {
    /// Address of the calling server.
    pub(super) peer: Option<SocketAddr>,
    pub(super) headers: &'a HeaderMap,
}

impl RequestHead<'_> {
    /// Origin of the request, if its address is known.
    fn origin(&self) -> Option<Origin> {
        self.peer
            .map(|peer| Origin::of_peer(peer.ip(), user_agent(self.headers)))
    }
}

/// Authorized call.
pub(super) struct Call<'a> {
    caller: Arc<InternalCaller>,
    scope: Scope,
    head: RequestHead<'a>,
    /// Scheme of the request.
    scheme: &'static str,
    /// Trace context of the request.
    traceparent: Option<TraceParent>,
}

impl Call<'_> {
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
        route: HttpRoute,
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
        route.serve_trusted(self.scheme, self.traceparent, response).await
    }

    /// Span of the log. At DEBUG, as the lines of a call are: at INFO it took a tenth of the CPU of a publish.
    fn span(&self, user: Option<&UserId>) -> Span {
        let (scope, user) = (self.scope.as_str(), user.map(tracing::field::display));
        tracing::debug_span!("internal_api", caller = self.caller.label(), scope, user)
    }
}

impl Internal {
    /// Identifies the caller by its token, and checks its scope. Refused tokens are counted, and logged up to a rate:
    /// anyone who reaches the port can cause such lines.
    pub(super) fn authorize<'a>(&self, scope: Scope, head: RequestHead<'a>) -> Result<Call<'a>, ApiError> {
        let Some(token) = bearer(head.headers) else {
            self.refused(InternalRefusal::TokenMissing, None, head);
            return Err(ApiError::Unauthorized);
        };
        let callers = self.callers.get();
        let Some(caller) = callers.find(&token) else {
            self.refused(InternalRefusal::TokenUnknown, None, head);
            return Err(ApiError::Unauthorized);
        };
        if !caller.scopes.contains(&scope) {
            self.refused(InternalRefusal::Scope, Some(caller), head);
            return Err(ApiError::MissingScope(scope));
        }
        Ok(Call {
            caller: Arc::clone(caller),
            scope,
            head,
            scheme: self.scheme,
            traceparent: received(head.headers),
        })
    }

    fn refused(&self, reason: InternalRefusal, caller: Option<&InternalCaller>, head: RequestHead<'_>) {
        self.metrics.internal_refused(reason);
        if let Some(suppressed) = self.refusal_log.admit(reason, Instant::now()) {
            let caller = caller.map(InternalCaller::label);
            let peer = head.peer.map(tracing::field::display);
            let reason = reason.label();
            tracing::warn!(reason, caller, peer, suppressed, "internal API request refused");
        }
    }
}
