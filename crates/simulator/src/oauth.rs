//! Parts of RFC 6749 that platforms share: the query of the authorize page, and the token endpoint with URL-encoded parameters,
//! the application's credentials, and single-use refresh tokens. Each platform has its own error answers.

use std::collections::BTreeSet;

use axum::{
    Form,
    extract::{FromRequest, Request},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::{Value, json};
use time::Duration;

use crate::{
    clock,
    grant::{CLIENT_ID, CLIENT_SECRET, Presented, Refusal, Terms, Token},
    ledger::Refresh,
    world::World,
};

/// Query of an authorize page (RFC 6749, section 4.1.1; RFC 7636, section 4.3).
#[derive(Debug, Deserialize)]
pub(crate) struct AuthorizeQuery {
    pub(crate) client_id: Option<String>,
    pub(crate) redirect_uri: Option<String>,
    #[serde(default)]
    pub(crate) scope: String,
    pub(crate) state: Option<String>,
    pub(crate) code_challenge: Option<String>,
    pub(crate) code_challenge_method: Option<String>,
    /// Parameter of the simulator: login of a user who consents without the page. GitHub has it too, as the suggested account.
    pub(crate) login: Option<String>,
}

/// Parameters of a token request. A missing one counts as wrong.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TokenParameters {
    grant_type: String,
    code: String,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
    refresh_token: String,
    client_id: String,
    client_secret: String,
    /// Token to revoke (RFC 7009).
    pub(crate) token: String,
}

/// Cause of a refused token request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusedToken {
    Code,
    RedirectUri,
    RefreshToken,
    GrantType,
}

/// URL-encoded parameters of a request, with its headers; none for any other body.
pub(crate) async fn read(request: Request) -> Option<(HeaderMap, TokenParameters)> {
    let headers = request.headers().clone();
    let Form(parameters) = Form::from_request(request, &()).await.ok()?;
    Some((headers, parameters))
}

/// Reports whether the application authenticated by HTTP Basic, as RFC 6749 section 2.3.1 prefers.
pub(crate) fn by_basic(headers: &HeaderMap) -> bool {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let pair = authorization
        .and_then(|text| text.strip_prefix("Basic "))
        .and_then(|text| STANDARD.decode(text).ok());
    pair.is_some_and(|pair| pair == format!("{CLIENT_ID}:{CLIENT_SECRET}").as_bytes())
}

/// Reports whether the application authenticated in the body.
pub(crate) fn by_body(parameters: &TokenParameters) -> bool {
    (parameters.client_id.as_str(), parameters.client_secret.as_str()) == (CLIENT_ID, CLIENT_SECRET)
}

/// Token of the `Authorization: Bearer` header, while it is valid.
pub(crate) fn bearer(world: &World, terms: &Terms, headers: &HeaderMap) -> Option<Token> {
    let text = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")?;
    world.lock().grants.token(terms.platform, text, clock::now()).cloned()
}

/// Issues the requested tokens and counts the request.
pub(crate) fn grant(world: &World, terms: &'static Terms, parameters: &TokenParameters) -> Result<Token, RefusedToken> {
    let now = clock::now();
    let mut state = world.lock();
    match parameters.grant_type.as_str() {
        "authorization_code" => {
            state.ledger.count_exchange(terms.platform, &parameters.code);
            let presented = Presented {
                terms,
                code: &parameters.code,
                redirect_uri: parameters.redirect_uri.as_deref(),
                verifier: parameters.code_verifier.as_deref(),
            };
            state.grants.redeem(&presented, now).map_err(|refusal| match refusal {
                Refusal::Code => RefusedToken::Code,
                Refusal::RedirectUri => RefusedToken::RedirectUri,
            })
        }
        "refresh_token" => {
            drop(state);
            refresh(world, terms, &parameters.refresh_token).ok_or(RefusedToken::RefreshToken)
        }
        _ => Err(RefusedToken::GrantType),
    }
}

/// Refreshes tokens and counts the request.
pub(crate) fn refresh(world: &World, terms: &'static Terms, refresh_token: &str) -> Option<Token> {
    let now = clock::now();
    let mut state = world.lock();
    let renewed = state.grants.refresh(terms, refresh_token, now);
    state.ledger.refreshes.push(Refresh {
        platform: terms.platform,
        login: renewed.login,
        refresh_token: refresh_token.to_owned(),
        at: now.unix_timestamp() * 1_000 + i64::from(now.millisecond()),
        rotation: renewed.rotation,
    });
    renewed.token
}

/// Answer with a token (RFC 6749 section 5.1).
pub(crate) fn issued(token: &Token, token_type: &str) -> Value {
    json!({
        "token_type": token_type,
        "access_token": token.access_token,
        "refresh_token": token.refresh_token,
        "expires_in": token.expires_in(clock::now()).map(seconds),
        "scope": joined(&token.scopes),
    })
}

/// Whole seconds, rounded so that a new token has its full lifetime.
pub(crate) fn seconds(left: Duration) -> i64 {
    (left + Duration::milliseconds(500)).whole_seconds()
}

/// Scopes in the format of RFC 6749 section 3.3.
fn joined(scopes: &BTreeSet<String>) -> String {
    scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}
