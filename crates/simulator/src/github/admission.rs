//! What every request to the API passes: it names its program, proves who asks, and is charged to that one's limit.

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

use super::{problem, rate::Payer};

/// Who asks, for the handlers behind [`person`].
#[derive(Debug, Clone)]
pub(super) struct Caller(pub(super) Token);

/// Lets in who brings a live token, and says on every answer what the token may do.
pub(super) async fn person(State(world): State<World>, mut request: Request, next: Next) -> Response {
    let token = bearer(request.headers())
        .and_then(|text| world.lock().grants.token(Platform::Github, text, clock::now()).cloned());
    let Some(token) = token else {
        let message = match request.headers().get(header::AUTHORIZATION) {
            Some(_) => "Bad credentials",
            None => "Requires authentication",
        };
        return refuse_stranger(&world, request, message);
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

/// Lets in who brings the application's id and secret.
pub(super) async fn application(State(world): State<World>, request: Request, next: Next) -> Response {
    if basic(request.headers()).as_deref() != Some(&format!("{CLIENT_ID}:{CLIENT_SECRET}")) {
        return refuse_stranger(&world, request, "Bad credentials");
    }
    charged(&world, Payer::Application, request, next).await
}

/// Runs the request on somebody's account of requests.
async fn charged(world: &World, payer: Payer, request: Request, next: Next) -> Response {
    if lacks_user_agent(&request) {
        return missing_user_agent();
    }
    let mut standing = world.lock().github.meter.charge(&payer, clock::now());
    let mut answer = if standing.exhausted() {
        problem(StatusCode::FORBIDDEN, "API rate limit exceeded.")
    } else {
        next.run(request).await
    };
    // "Making a conditional request does not count against your primary rate limit if a 304 response is returned."
    if answer.status() == StatusCode::NOT_MODIFIED {
        standing = world.lock().github.meter.refund(&payer, clock::now());
    }
    standing.write(answer.headers_mut());
    answer
}

fn refuse_stranger(world: &World, request: Request, message: &str) -> Response {
    if lacks_user_agent(&request) {
        return missing_user_agent();
    }
    let mut answer = problem(StatusCode::UNAUTHORIZED, message);
    world
        .lock()
        .github
        .meter
        .charge(&Payer::Stranger, clock::now())
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
