//! Authorize page, as most platforms have it. No user is asked: the answer is the redirect that follows the user's consent.

use axum::{
    Extension,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use url::Url;

use crate::{
    account::DEFAULT_LOGIN,
    clock,
    grant::{CLIENT_ID, Consent, Terms},
    middleware::Denied,
    oauth::AuthorizeQuery,
    world::World,
};

/// Differences of one platform's page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    pub(crate) terms: &'static Terms,
    /// Maximum length of the state.
    pub(crate) max_state_length: usize,
    /// True if PKCE (RFC 7636) is required.
    pub(crate) requires_challenge: bool,
}

impl Page {
    /// Redirect after the user's answer.
    pub(crate) fn click(
        self,
        State(world): State<World>,
        denied: Option<Extension<Denied>>,
        Query(asked): Query<AuthorizeQuery>,
    ) -> Response {
        let refuse = |why: &'static str| (StatusCode::BAD_REQUEST, why).into_response();
        if asked.client_id.as_deref() != Some(CLIENT_ID) {
            return refuse("no such application");
        }
        // This application has registered every redirect URI that a test needs.
        let Some(Ok(mut back)) = asked.redirect_uri.as_deref().map(Url::parse) else {
            return refuse("redirect_uri must be registered");
        };
        if asked
            .state
            .as_ref()
            .is_some_and(|state| state.len() > self.max_state_length)
        {
            return refuse("state too long");
        }
        let method = asked.code_challenge_method.as_deref();
        let is_bound = match &asked.code_challenge {
            Some(_) => method == Some("S256"),
            None => !self.requires_challenge,
        };
        let answer = match denied {
            Some(_) => ("error", "access_denied".to_owned()),
            None if !is_bound => ("error", "invalid_request".to_owned()),
            None => {
                let consent = Consent {
                    platform: self.terms.platform,
                    login: asked.login.unwrap_or_else(|| DEFAULT_LOGIN.to_owned()),
                    scopes: asked.scope.split_whitespace().map(str::to_owned).collect(),
                    redirect_uri: asked.redirect_uri.unwrap_or_default(),
                    challenge: asked.code_challenge,
                };
                let code = world.lock().grants.issue_code(consent, self.terms, clock::now());
                ("code", code)
            }
        };
        back.query_pairs_mut()
            .append_pair(answer.0, &answer.1)
            .extend_pairs(asked.state.map(|state| ("state", state)));
        (StatusCode::FOUND, [(header::LOCATION, back.as_str())]).into_response()
    }
}
