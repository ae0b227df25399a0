//! `GET /login/oauth/authorize`: a user authorizes the application. No user is asked: the answer is the redirect that follows the
//! user's consent.

use axum::{
    Extension,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use url::{Host, Url};

use crate::{
    account::DEFAULT_LOGIN,
    clock,
    grant::{CLIENT_ID, Consent},
    middleware::Denied,
    oauth::AuthorizeQuery,
    platform::Platform,
    world::World,
};

use super::token::{TERMS, normalised};

pub(super) async fn authorize(
    State(world): State<World>,
    denied: Option<Extension<Denied>>,
    Query(asked): Query<AuthorizeQuery>,
) -> Response {
    if asked.client_id.as_deref() != Some(CLIENT_ID) {
        return (StatusCode::NOT_FOUND, "no such application").into_response();
    }
    // GitHub falls back to the one registered callback; this application has registered every safe one instead.
    let Some(redirect_uri) = asked.redirect_uri.filter(|uri| is_registered(uri)) else {
        return (
            StatusCode::BAD_REQUEST,
            "redirect_uri must be https, or http to a loopback address",
        )
            .into_response();
    };
    let outcome = match (denied, &asked.code_challenge, asked.code_challenge_method.as_deref()) {
        (Some(_), _, _) => Err(ACCESS_DENIED),
        (None, Some(_), Some("S256")) | (None, None, _) => Ok(()),
        // RFC 7636 section 4.4.1; GitHub documents no error of its own, only that it accepts S256 alone.
        (None, Some(_), _) => Err(INVALID_REQUEST),
    };
    let mut parameters = match outcome {
        Err(error) => error.to_vec(),
        Ok(()) => Vec::new(),
    };
    let code = outcome.is_ok().then(|| {
        let consent = Consent {
            platform: Platform::Github,
            login: asked.login.unwrap_or_else(|| DEFAULT_LOGIN.to_owned()),
            scopes: normalised(asked.scope.split([' ', ','])),
            redirect_uri: redirect_uri.clone(),
            challenge: asked.code_challenge,
        };
        world.lock().grants.issue_code(consent, &TERMS, clock::now())
    });
    // RFC 9207 requires the issuer in errors as well as in codes.
    let issuer = format!("{}/github/login/oauth", world.base());
    parameters.extend(code.as_deref().map(|code| ("code", code)));
    parameters.extend(asked.state.as_deref().map(|state| ("state", state)));
    parameters.push(("iss", &issuer));
    send_back(&redirect_uri, &parameters)
}

/// Reports whether the application may redirect there.
fn is_registered(redirect_uri: &str) -> bool {
    let Ok(url) = Url::parse(redirect_uri) else {
        return false;
    };
    match (url.scheme(), url.host()) {
        ("https", Some(_)) | ("http", Some(Host::Domain("localhost"))) => true,
        ("http", Some(Host::Ipv4(address))) => address.is_loopback(),
        ("http", Some(Host::Ipv6(address))) => address.is_loopback(),
        _ => false,
    }
}

fn send_back(redirect_uri: &str, parameters: &[(&str, &str)]) -> Response {
    match Url::parse_with_params(redirect_uri, parameters) {
        Ok(location) => (StatusCode::FOUND, [(header::LOCATION, location.as_str())]).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

type Parameters = [(&'static str, &'static str); 2];

const ACCESS_DENIED: Parameters = [
    ("error", "access_denied"),
    ("error_description", "The user has denied your application access."),
];

const INVALID_REQUEST: Parameters = [
    ("error", "invalid_request"),
    ("error_description", "code_challenge_method must be S256"),
];
