//! What platforms have in common of RFC 6749: the query of the authorize page, and the token endpoint with a form, the
//! application's credentials, and single-use refresh tokens. How each says no is its own.

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

/// The query of an authorize page (RFC 6749, section 4.1.1; RFC 7636, section 4.3).
#[derive(Debug, Deserialize)]
pub(crate) struct AuthorizeQuery {
    pub(crate) client_id: Option<String>,
    pub(crate) redirect_uri: Option<String>,
    #[serde(default)]
    pub(crate) scope: String,
    pub(crate) state: Option<String>,
    pub(crate) code_challenge: Option<String>,
    pub(crate) code_challenge_method: Option<String>,
    /// The simulator's own: who clicks. GitHub has one too, as the account that it suggests.
    pub(crate) login: Option<String>,
}

/// What a client may write into the form. What is missing counts as wrong.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    grant_type: String,
    code: String,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
    refresh_token: String,
    client_id: String,
    client_secret: String,
    /// The token to revoke (RFC 7009).
    pub(crate) token: String,
}

/// Why nothing is issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum No {
    Code,
    RedirectUri,
    RefreshToken,
    GrantType,
}

/// The form of a request, with its headers; none if the body is anything else.
pub(crate) async fn read(request: Request) -> Option<(HeaderMap, Asked)> {
    let headers = request.headers().clone();
    let Form(asked) = Form::from_request(request, &()).await.ok()?;
    Some((headers, asked))
}

/// Whether the application proved itself as RFC 6749 section 2.3.1 prefers it.
pub(crate) fn by_basic(headers: &HeaderMap) -> bool {
    let said = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let pair = said
        .and_then(|text| text.strip_prefix("Basic "))
        .and_then(|text| STANDARD.decode(text).ok());
    pair.is_some_and(|pair| pair == format!("{CLIENT_ID}:{CLIENT_SECRET}").as_bytes())
}

/// Whether it proved itself in the form.
pub(crate) fn by_form(asked: &Asked) -> bool {
    (asked.client_id.as_str(), asked.client_secret.as_str()) == (CLIENT_ID, CLIENT_SECRET)
}

/// The token whose text follows `Bearer `, while it is good.
pub(crate) fn bearer(world: &World, terms: &Terms, headers: &HeaderMap) -> Option<Token> {
    let text = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")?;
    world.lock().grants.token(terms.platform, text, clock::now()).cloned()
}

/// Issues what is asked for, and counts the asking.
pub(crate) fn grant(world: &World, terms: &'static Terms, asked: &Asked) -> Result<Token, No> {
    let now = clock::now();
    let mut state = world.lock();
    match asked.grant_type.as_str() {
        "authorization_code" => {
            state.ledger.count_exchange(terms.platform, &asked.code);
            let presented = Presented {
                terms,
                code: &asked.code,
                redirect_uri: asked.redirect_uri.as_deref(),
                verifier: asked.code_verifier.as_deref(),
            };
            state.grants.redeem(&presented, now).map_err(|refusal| match refusal {
                Refusal::Code => No::Code,
                Refusal::RedirectUri => No::RedirectUri,
            })
        }
        "refresh_token" => {
            drop(state);
            refresh(world, terms, &asked.refresh_token).ok_or(No::RefreshToken)
        }
        _ => Err(No::GrantType),
    }
}

/// New tokens for a refresh token, counted.
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

/// The answer that carries a token (RFC 6749 section 5.1).
pub(crate) fn issued(token: &Token, token_type: &str) -> Value {
    json!({
        "token_type": token_type,
        "access_token": token.access_token,
        "refresh_token": token.refresh_token,
        "expires_in": token.expires_in(clock::now()).map(seconds),
        "scope": joined(&token.scopes),
    })
}

/// Whole seconds: what has just been issued was not shortened by being written down.
pub(crate) fn seconds(left: Duration) -> i64 {
    (left + Duration::milliseconds(500)).whole_seconds()
}

/// Scopes as RFC 6749 section 3.3 writes them.
fn joined(scopes: &BTreeSet<String>) -> String {
    scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}
