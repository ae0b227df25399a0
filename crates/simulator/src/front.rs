//! What every request passes before its platform: it is counted, and meets the fault that waits for it.

use std::{future::pending, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::MethodRouter,
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::{
    blocked::{BlockedRequest, hold},
    discord,
    fault::Kind,
    github,
    platform::{Platform, Route},
    telegram,
    world::World,
    x_twitter,
};

/// Marks an answer that must never be sent: whoever serves the connection closes it instead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unanswered;

/// Marks a request to an authorize page at which the person says no.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Denied;

/// Puts `work` behind the front, as this route of this platform.
pub(crate) fn guard(world: &World, platform: Platform, route: Route, work: MethodRouter<World>) -> MethodRouter<World> {
    work.route_layer(from_fn_with_state(
        Front {
            world: world.clone(),
            platform,
            route,
        },
        pass,
    ))
}

/// What the front needs to know to let a request pass.
#[derive(Debug, Clone)]
struct Front {
    world: World,
    platform: Platform,
    route: Route,
}

async fn pass(State(front): State<Front>, mut request: Request, next: Next) -> Response {
    let Front { world, platform, route } = front;
    let fault = {
        let mut state = world.lock();
        state.ledger.count_request(platform, route);
        state.plan.take(platform, route)
    };
    let Some(fault) = fault else {
        return work(&world, (platform, route), request, next).await;
    };
    match fault {
        Kind::Latency { milliseconds } => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            work(&world, (platform, route), request, next).await
        }
        Kind::AwaitRelease => {
            let answer = work(&world, (platform, route), request, next).await;
            hold(&world, BlockedRequest { platform, route }).await;
            answer
        }
        Kind::Hang => {
            next.run(request).await;
            pending().await
        }
        Kind::DropResponse => {
            let mut answer = next.run(request).await;
            answer.extensions_mut().insert(Unanswered);
            answer
        }
        Kind::Status { status, headers, body } => status_answer(status, headers, body),
        Kind::Redirect { location } => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response(),
        Kind::Garbage => json_bytes(Body::from(vec![0xff, 0x00, b'{', 0xfe, b'"'])),
        Kind::HugeBody { bytes } => json_bytes(huge(bytes)),
        Kind::Throttle { limit, seconds } => match platform {
            Platform::Github => github::throttled(limit, seconds),
            Platform::Discord => discord::throttled(limit, seconds),
            Platform::XTwitter => x_twitter::throttled(limit, seconds),
            Platform::Telegram => telegram::throttled(seconds),
        },
        Kind::Deny => {
            request.extensions_mut().insert(Denied);
            next.run(request).await
        }
    }
}

/// The platform's own answer, in the spelling that it has.
async fn work(world: &World, (platform, route): (Platform, Route), request: Request, next: Next) -> Response {
    let answer = next.run(request).await;
    world.spelling(platform).apply(answer, route == Route::Token).await
}

/// The answer a test wrote itself. What HTTP cannot carry is the test's mistake, and is answered with 500 and the reason.
fn status_answer(status: u16, headers: impl IntoIterator<Item = (String, String)>, body: String) -> Response {
    let answer = || {
        let mut answer = Response::new(Body::from(body));
        *answer.status_mut() = StatusCode::from_u16(status)?;
        for (name, value) in headers {
            answer
                .headers_mut()
                .insert(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
        }
        Ok::<_, http::Error>(answer)
    };
    answer().unwrap_or_else(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response())
}

fn json_bytes(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response()
}

/// A JSON string of `bytes` bytes, made while it is sent.
fn huge(bytes: usize) -> Body {
    const CHUNK: &[u8] = &[b'x'; 16 * 1024];
    let filling = (0..bytes.saturating_sub(2)).step_by(CHUNK.len()).map(move |sent| {
        let rest = bytes - 2 - sent;
        Bytes::from_static(CHUNK.get(..rest).unwrap_or(CHUNK))
    });
    let quote = || stream::iter([Bytes::from_static(b"\"")]);
    Body::from_stream(
        quote()
            .chain(stream::iter(filling))
            .chain(quote())
            .map(Ok::<_, std::convert::Infallible>),
    )
}

/// The routes of every platform.
pub(crate) fn platforms(world: &World) -> Router<World> {
    Router::new()
        .nest("/github", github::routes(world))
        .nest("/discord", discord::routes(world))
        .nest("/x_twitter", x_twitter::routes(world))
        .nest("/telegram", telegram::routes(world))
}
