//! Admission of every request to the API: user agent, authentication and rate limit.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::{
    clock,
    grant::{CLIENT_ID, CLIENT_SECRET, Token},
    platform::Platform,
    world::World,
};

use super::problem;
use crate::rate_limit::Payer;

/// Authenticated caller, for the handlers behind [`person`].
#[derive(Debug, Clone)]
pub(super) struct Caller(pub(super) Token);

/// Admits requests with a valid token, and reports its scopes in every answer.
pub(super) async fn person(State(world): State<World>, mut request: Request, next: Next) -> Response {
    let token = bearer(request.headers())
        .and_then(|text| world.lock().grants.token(Platform::Github, text, clock::now()).cloned());
    let Some(token) = token else {
        let message = match request.headers().get(header::AUTHORIZATION) {
            Some(_) => "Bad credentials",
            None => "Requires authentication",
        };
        return refuse_unauthenticated(&world, request, message);
    };
    let scopes = token.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let payer = Payer::Account(token.login.clone());
    request.extensions_mut().insert(Caller(token));
    let mut answer = charged(&world, payer, request, next).await;
    if let Ok(scopes) = HeaderValue::try_from(scopes) {
        answer.headers_mut().insert("x-oauth-scopes", scopes);
    }
    answer
}

/// Admits requests with the application's id and secret.
pub(super) async fn application(State(world): State<World>, request: Request, next: Next) -> Response {
    if basic(request.headers()).as_deref() != Some(&format!("{CLIENT_ID}:{CLIENT_SECRET}")) {
        return refuse_unauthenticated(&world, request, "Bad credentials");
    }
    charged(&world, Payer::Application, request, next).await
}

/// Charges the request to the limit of its payer.
async fn charged(world: &World, payer: Payer, request: Request, next: Next) -> Response {
    if lacks_user_agent(&request) {
        return missing_user_agent();
    }
    let mut usage = world.lock().github.rate_limits.charge(&payer, clock::now());
    let mut answer = if usage.exhausted() {
        problem(StatusCode::FORBIDDEN, "API rate limit exceeded.")
    } else {
        next.run(request).await
    };
    // "Making a conditional request does not count against your primary rate limit if a 304 response is returned."
    if answer.status() == StatusCode::NOT_MODIFIED {
        usage = world.lock().github.rate_limits.refund(&payer, clock::now());
    }
    usage.write(answer.headers_mut());
    answer
}

fn refuse_unauthenticated(world: &World, request: Request, message: &str) -> Response {
    if lacks_user_agent(&request) {
        return missing_user_agent();
    }
    let mut answer = problem(StatusCode::UNAUTHORIZED, message);
    world
        .lock()
        .github
        .rate_limits
        .charge(&Payer::Unauthenticated, clock::now())
        .write(answer.headers_mut());
    answer
}

fn lacks_user_agent(request: &Request) -> bool {
    request
        .headers()
        .get(header::USER_AGENT)
        .is_none_or(HeaderValue::is_empty)
}

fn missing_user_agent() -> Response {
    let message = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.";
    problem(StatusCode::FORBIDDEN, message)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    text.strip_prefix("Bearer ").or_else(|| text.strip_prefix("token "))
}

fn basic(headers: &HeaderMap) -> Option<String> {
    let text = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Basic ")?;
    String::from_utf8(STANDARD.decode(text).ok()?).ok()
}
