//! The page where a person lets the application in, as most platforms have it. Nobody is asked; the answer is the redirect that
//! follows a click.

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
    front::Denied,
    grant::{CLIENT_ID, Consent, Terms},
    oauth::AuthorizeQuery,
    world::World,
};

/// In what one platform's page differs from the others'.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    pub(crate) terms: &'static Terms,
    /// How long a state may be.
    pub(crate) most_state: usize,
    /// Whether nobody is let in without PKCE (RFC 7636).
    pub(crate) wants_challenge: bool,
}

impl Page {
    /// What a click leads to.
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
        // This application has registered whatever a test needs.
        let Some(Ok(mut back)) = asked.redirect_uri.as_deref().map(Url::parse) else {
            return refuse("redirect_uri must be registered");
        };
        if asked.state.as_ref().is_some_and(|state| state.len() > self.most_state) {
            return refuse("state too long");
        }
        let method = asked.code_challenge_method.as_deref();
        let is_bound = match &asked.code_challenge {
            Some(_) => method == Some("S256"),
            None => !self.wants_challenge,
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
