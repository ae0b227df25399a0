//! `GET /auth`: a person lets the application know who they are. Nobody is asked; the answer is the redirect that follows a click.

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
    grant::{CLIENT_ID, Consent},
    oauth::AuthorizeQuery,
    platform::Platform,
    world::World,
};

use super::token::TERMS;

pub(super) async fn authorize(
    State(world): State<World>,
    denied: Option<Extension<Denied>>,
    Query(asked): Query<AuthorizeQuery>,
) -> Response {
    let refuse = |why: &'static str| (StatusCode::BAD_REQUEST, why).into_response();
    if asked.client_id.as_deref() != Some(CLIENT_ID) {
        return refuse("no such bot");
    }
    // Telegram takes registered https URIs alone; this bot registered whatever a test needs.
    let Some(Ok(mut back)) = asked.redirect_uri.as_deref().map(Url::parse) else {
        return refuse("redirect_uri must be registered");
    };
    // How long one may be is not documented; a client whose own is longer was refused with these words.
    if asked.state.as_ref().is_some_and(|state| state.len() > MOST_STATE) {
        return refuse("state too long");
    }
    let answer = match (denied, asked.code_challenge, asked.code_challenge_method.as_deref()) {
        (Some(_), _, _) => ("error", "access_denied".to_owned()),
        (None, Some(challenge), Some("S256")) => {
            let consent = Consent {
                platform: Platform::Telegram,
                login: asked.login.unwrap_or_else(|| DEFAULT_LOGIN.to_owned()),
                scopes: asked.scope.split_whitespace().map(str::to_owned).collect(),
                redirect_uri: asked.redirect_uri.unwrap_or_default(),
                challenge: Some(challenge),
            };
            ("code", world.lock().grants.issue_code(consent, &TERMS, clock::now()))
        }
        (None, _, _) => ("error", "invalid_request".to_owned()),
    };
    back.query_pairs_mut()
        .append_pair(answer.0, &answer.1)
        .extend_pairs(asked.state.map(|state| ("state", state)));
    (StatusCode::FOUND, [(header::LOCATION, back.as_str())]).into_response()
}

const MOST_STATE: usize = 64;
