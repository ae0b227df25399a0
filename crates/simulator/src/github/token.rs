//! `POST /login/oauth/access_token`: a code becomes a token. Errors are answered with 200 like everything else, and in
//! the form encoding unless JSON was asked for.

use std::collections::BTreeSet;

use axum::{
    Form, Json,
    extract::{FromRequest, Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header};
use serde::Deserialize;

use crate::{
    clock,
    grant::{CLIENT_ID, CLIENT_SECRET, Presented, Refusal, Renewal, Terms, Token},
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
}

pub(super) async fn exchange(State(world): State<World>, request: Request) -> Response {
    let json = wants_json(request.headers());
    let asked = match read(request).await {
        Ok(asked) => asked,
        Err(rejection) => return rejection,
    };
    let token = redeem(&world, &asked);
    let parameters = match &token {
        Ok((token, scope)) => [
            ("access_token", token.access_token.as_str()),
            ("scope", scope),
            ("token_type", "bearer"),
        ],
        Err(error) => *error,
    };
    if json {
        Json(parameters.iter().copied().collect::<std::collections::BTreeMap<_, _>>()).into_response()
    } else {
        Form(parameters).into_response()
    }
}

fn redeem(world: &World, asked: &Asked) -> Result<(Token, String), Parameters> {
    let mut state = world.lock();
    state.ledger.count_exchange(Platform::Github, &asked.code);
    if (asked.client_id.as_str(), asked.client_secret.as_str()) != (CLIENT_ID, CLIENT_SECRET) {
        return Err(INCORRECT_CLIENT_CREDENTIALS);
    }
    let presented = Presented {
        terms: &TERMS,
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
    let scope = token.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(",");
    Ok((token, scope))
}

/// What an OAuth App is given: tokens without an end. A code is good for the ten minutes that RFC 6749 section 4.1.2 recommends.
pub(super) const TERMS: Terms = Terms {
    platform: Platform::Github,
    token_prefix: "gho_",
    code_lifetime: time::Duration::minutes(10),
    access_lifetime: None,
    renewal: Renewal::Never,
    test_scopes: &["notifications", "read:user"],
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
