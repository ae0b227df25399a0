//! `POST /login/oauth/access_token`: exchanges a code or a refresh token. Errors are answered with 200 like everything else,
//! URL-encoded unless JSON was requested.

use std::collections::BTreeSet;

use axum::{
    Form, Json,
    extract::{FromRequest, Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    clock,
    grant::{CLIENT_ID, CLIENT_SECRET, Presented, Refusal, Renewal, Terms, Token},
    oauth,
    platform::Platform,
    world::World,
};

/// Body of the request, URL-encoded or JSON. A missing parameter counts as wrong.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TokenRequest {
    client_id: String,
    client_secret: String,
    code: String,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
    grant_type: String,
    refresh_token: String,
}

pub(super) async fn exchange(State(world): State<World>, request: Request) -> Response {
    let json = wants_json(request.headers());
    let parameters = match read(request).await {
        Ok(parameters) => parameters,
        Err(rejection) => return rejection,
    };
    let granted = if parameters.grant_type == "refresh_token" {
        refresh(&world, &parameters)
    } else {
        redeem(&world, &parameters)
    };
    let parameters = match &granted {
        Ok(token) => issued(token),
        Err(error) => error.map(|(name, value)| (name, value.into())).to_vec(),
    };
    if json {
        let parameters = parameters.into_iter().map(|(name, value)| (name.to_owned(), value));
        Json(parameters.collect::<Map<_, _>>()).into_response()
    } else {
        Form(parameters).into_response()
    }
}

/// Issued tokens under GitHub's names.
fn issued(token: &Token) -> Vec<(&'static str, Value)> {
    let scope = token.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(",");
    let seconds = token.expires_in(clock::now()).map(oauth::seconds);
    let parameters = [
        ("access_token", Some(token.access_token.as_str().into())),
        ("scope", Some(scope.into())),
        ("token_type", Some("bearer".into())),
        ("refresh_token", token.refresh_token.as_deref().map(Into::into)),
        ("expires_in", seconds.map(Into::into)),
    ];
    let issued = |(name, value): (&'static str, Option<Value>)| Some((name, value?));
    parameters.into_iter().filter_map(issued).collect()
}

/// Refreshes tokens: the refresh token and its access token end with it.
fn refresh(world: &World, parameters: &TokenRequest) -> Result<Token, Parameters> {
    check_client(parameters)?;
    let before = world
        .lock()
        .grants
        .either(Platform::Github, &parameters.refresh_token)
        .cloned();
    let renewed = oauth::refresh(world, &APP_TERMS, &parameters.refresh_token).ok_or(BAD_REFRESH_TOKEN)?;
    if let Some(before) = before {
        world.lock().grants.revoke_token(Platform::Github, &before.access_token);
    }
    Ok(renewed)
}

fn check_client(parameters: &TokenRequest) -> Result<(), Parameters> {
    if (parameters.client_id.as_str(), parameters.client_secret.as_str()) == (CLIENT_ID, CLIENT_SECRET) {
        Ok(())
    } else {
        Err(INCORRECT_CLIENT_CREDENTIALS)
    }
}

fn redeem(world: &World, parameters: &TokenRequest) -> Result<Token, Parameters> {
    let mut state = world.lock();
    state.ledger.count_exchange(Platform::Github, &parameters.code);
    check_client(parameters)?;
    let terms = if state.github.expiring_tokens {
        &APP_TERMS
    } else {
        &TERMS
    };
    let presented = Presented {
        terms,
        code: &parameters.code,
        redirect_uri: parameters.redirect_uri.as_deref(),
        verifier: parameters.code_verifier.as_deref(),
    };
    let token = state
        .grants
        .redeem(&presented, clock::now())
        .map_err(|refusal| match refusal {
            Refusal::Code => BAD_VERIFICATION_CODE,
            Refusal::RedirectUri => REDIRECT_URI_MISMATCH,
        })?;
    state.grants.keep_newest(&token, LIVE_TOKENS);
    Ok(token)
}

/// Terms of an OAuth App: tokens without expiry. A code is valid for the ten minutes that RFC 6749 section 4.1.2 recommends.
pub(super) const TERMS: Terms = Terms {
    platform: Platform::Github,
    token_prefix: "gho_",
    refresh_prefix: "",
    code_lifetime: time::Duration::minutes(10),
    access_lifetime: None,
    renewal: Renewal::Never,
    test_scopes: &["notifications", "read:user"],
};

/// Terms of a GitHub App: both tokens expire, and a refresh ends both.
pub(super) const APP_TERMS: Terms = Terms {
    token_prefix: "ghu_",
    refresh_prefix: "ghr_",
    access_lifetime: Some(time::Duration::hours(8)),
    renewal: Renewal::Always,
    ..TERMS
};

/// Tokens that an account has with an application for one set of scopes; one more ends the oldest.
const LIVE_TOKENS: usize = 10;

/// Scopes that GitHub grants for the requested ones: each once, and none that another one implies.
pub(super) fn normalised<'a>(scopes: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    let mut scopes: BTreeSet<_> = scopes
        .into_iter()
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect();
    if scopes.contains("user") {
        scopes.retain(|scope| !matches!(scope.as_str(), "read:user" | "user:email" | "user:follow"));
    }
    scopes
}

async fn read(request: Request) -> Result<TokenRequest, Response> {
    let is_json = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(JSON));
    if is_json {
        let Json(parameters) = Json::from_request(request, &())
            .await
            .map_err(IntoResponse::into_response)?;
        Ok(parameters)
    } else {
        let Form(parameters) = Form::from_request(request, &())
            .await
            .map_err(IntoResponse::into_response)?;
        Ok(parameters)
    }
}

fn wants_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .is_some_and(|accept| accept.as_bytes() == JSON)
}

const JSON: &[u8] = b"application/json";

type Parameters = [(&'static str, &'static str); 3];

const INCORRECT_CLIENT_CREDENTIALS: Parameters = [
    ("error", "incorrect_client_credentials"),
    (
        "error_description",
        "The client_id and/or client_secret passed are incorrect.",
    ),
    (
        "error_uri",
        "/apps/managing-oauth-apps/troubleshooting-oauth-app-access-token-request-errors/#incorrect-client-credentials",
    ),
];

const BAD_REFRESH_TOKEN: Parameters = [
    ("error", "bad_refresh_token"),
    ("error_description", "The refresh token passed is incorrect or expired."),
    (
        "error_uri",
        "/apps/managing-oauth-apps/troubleshooting-oauth-app-access-token-request-errors/#bad-refresh-token",
    ),
];

const REDIRECT_URI_MISMATCH: Parameters = [
    ("error", "redirect_uri_mismatch"),
    (
        "error_description",
        "The redirect_uri MUST match the registered callback URL for this application.",
    ),
    (
        "error_uri",
        "/apps/managing-oauth-apps/troubleshooting-authorization-request-errors/#redirect-uri-mismatch2",
    ),
];

const BAD_VERIFICATION_CODE: Parameters = [
    ("error", "bad_verification_code"),
    ("error_description", "The code passed is incorrect or expired."),
    (
        "error_uri",
        "/apps/managing-oauth-apps/troubleshooting-oauth-app-access-token-request-errors/#bad-verification-code",
    ),
];
