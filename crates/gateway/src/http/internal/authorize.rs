//! Authorization of requests: token, limits of the caller, scope of the route.

use std::net::SocketAddr;
use std::sync::Arc;

use protocol::api::table::ApiRoute;
use tokio::time::Instant;

use super::Internal;
use super::budget::ExceededLimit;
use super::call::{Call, RequestHead};
use super::error::ApiError;
use super::route::PathValues;
use crate::handshake::request::bearer;
use crate::label::Label;
use crate::listener::client::rate_limit_address;
use crate::metrics::InternalRefusal;
use crate::settings::InternalCaller;
use crate::trace::received;

impl Internal {
    /// Identifies the caller by its token, and checks its limits, the scope and the form of the request. Refusals are counted, and
    /// logged up to a rate: anyone who reaches the port can cause such lines.
    pub(super) fn authorize<'a>(
        &self,
        (route, values): (&'static ApiRoute, PathValues<'a>),
        head: RequestHead<'a>,
    ) -> Result<Call<'a>, ApiError> {
        let now = Instant::now();
        let address = head.peer.map(|peer| rate_limit_address(peer.ip()));
        let Some(token) = bearer(&head.parts.headers) else {
            self.refused(InternalRefusal::TokenMissing, None, head.peer, now);
            return Err(ApiError::Unauthorized);
        };
        let callers = self.callers.get();
        let Some(caller) = callers.find(&token) else {
            let counted = address.map_or(Ok(()), |address| self.budgets.refuse_token(address, now));
            counted.map_err(|exceeded| self.exceeded(exceeded, None, head.peer, now))?;
            self.refused(InternalRefusal::TokenUnknown, None, head.peer, now);
            return Err(ApiError::Unauthorized);
        };
        let admitted = self.budgets.admit(caller, address, now);
        let in_flight = admitted.map_err(|exceeded| self.exceeded(exceeded, Some(caller), head.peer, now))?;
        if !caller.scopes.contains(&route.scope) {
            self.refused(InternalRefusal::Scope, Some(caller), head.peer, now);
            return Err(ApiError::MissingScope(route.scope));
        }
        let call = Call {
            route,
            values,
            caller: Arc::clone(caller),
            head,
            scheme: self.scheme,
            traceparent: received(&head.parts.headers),
            in_flight,
        };
        call.check()?;
        Ok(call)
    }

    /// Records a request above a limit.
    pub(super) fn exceeded(
        &self,
        exceeded: ExceededLimit,
        caller: Option<&InternalCaller>,
        peer: Option<SocketAddr>,
        now: Instant,
    ) -> ApiError {
        let (reason, caller) = match exceeded {
            // The caller is not named: the token may have been guessed.
            ExceededLimit::RefusedTokens(_) => (InternalRefusal::TokenGuesses, None),
            ExceededLimit::Rate(_) => (InternalRefusal::CallerRate, caller),
            ExceededLimit::InFlight => (InternalRefusal::CallerInFlight, caller),
        };
        self.refused(reason, caller, peer, now);
        ApiError::Exceeded(exceeded)
    }

    fn refused(
        &self,
        reason: InternalRefusal,
        caller: Option<&InternalCaller>,
        peer: Option<SocketAddr>,
        now: Instant,
    ) {
        self.metrics.internal_refused(reason);
        if let Some(suppressed) = self.refusal_log.admit(reason, now) {
            let caller = caller.map(InternalCaller::label);
            let peer = peer.map(tracing::field::display);
            let reason = reason.label();
            tracing::warn!(reason, caller, peer, suppressed, "internal API request refused");
        }
    }
}
