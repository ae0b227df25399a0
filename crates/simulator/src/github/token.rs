//! `POST /login/oauth/access_token`: a code becomes a token, or a refresh token new ones. Errors are answered with 200 like everything else, and in
//! the form encoding unless JSON was asked for.

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

/// The body of the request, a form or JSON. What is missing counts as wrong.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
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
    let asked = match read(request).await {
        Ok(asked) => asked,
        Err(rejection) => return rejection,
    };
    let granted = if asked.grant_type == "refresh_token" {
        refresh(&world, &asked)
    } else {
        redeem(&world, &asked)
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

/// What is issued, as GitHub names it.
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

/// A refresh token and the access token beside it end as soon as there are new ones.
fn refresh(world: &World, asked: &Asked) -> Result<Token, Parameters> {
    check_client(asked)?;
    let before = world
        .lock()
        .grants
        .either(Platform::Github, &asked.refresh_token)
        .cloned();
    let renewed = oauth::refresh(world, &APP_TERMS, &asked.refresh_token).ok_or(BAD_REFRESH_TOKEN)?;
    if let Some(before) = before {
        world.lock().grants.revoke_token(Platform::Github, &before.access_token);
    }
    Ok(renewed)
}

fn check_client(asked: &Asked) -> Result<(), Parameters> {
    if (asked.client_id.as_str(), asked.client_secret.as_str()) == (CLIENT_ID, CLIENT_SECRET) {
        Ok(())
    } else {
        Err(INCORRECT_CLIENT_CREDENTIALS)
    }
}

fn redeem(world: &World, asked: &Asked) -> Result<Token, Parameters> {
    let mut state = world.lock();
    state.ledger.count_exchange(Platform::Github, &asked.code);
    check_client(asked)?;
    let terms = if state.github.expiring_tokens {
        &APP_TERMS
    } else {
        &TERMS
    };
    let presented = Presented {
        terms,
        code: &asked.code,
        redirect_uri: asked.redirect_uri.as_deref(),
        verifier: asked.code_verifier.as_deref(),
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

/// What an OAuth App is given: tokens without an end. A code is good for the ten minutes that RFC 6749 section 4.1.2 recommends.
pub(super) const TERMS: Terms = Terms {
    platform: Platform::Github,
    token_prefix: "gho_",
    refresh_prefix: "",
    code_lifetime: time::Duration::minutes(10),
    access_lifetime: None,
    renewal: Renewal::Never,
    test_scopes: &["notifications", "read:user"],
};

/// What a GitHub App is given: both tokens are good once their time is not over, and a refresh ends both.
pub(super) const APP_TERMS: Terms = Terms {
    token_prefix: "ghu_",
    refresh_prefix: "ghr_",
    access_lifetime: Some(time::Duration::hours(8)),
    renewal: Renewal::Always,
    ..TERMS
};

/// Tokens that an account has with an application for one set of scopes; one more ends the oldest.
const LIVE_TOKENS: usize = 10;

/// What GitHub makes of the scopes it is asked for: each once, and none that another implies.
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

async fn read(request: Request) -> Result<Asked, Response> {
    let is_json = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(JSON));
    if is_json {
        let Json(asked) = Json::from_request(request, &())
            .await
            .map_err(IntoResponse::into_response)?;
        Ok(asked)
    } else {
        let Form(asked) = Form::from_request(request, &())
            .await
            .map_err(IntoResponse::into_response)?;
        Ok(asked)
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
