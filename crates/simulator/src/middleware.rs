//! Middleware before every platform: counts the request and applies the fault that waits for it.

use std::{future::pending, time::Duration};

use axum::{
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
    blocked::BlockedRequest,
    fault::{Kind, Limit},
    platform::{Platform, Route},
    world::World,
};

/// Marker of an answer that must not be sent: the server closes the connection instead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unanswered;

/// Marker of a request to an authorize page whose user refuses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Denied;

/// Middleware of one platform.
#[derive(Debug, Clone)]
pub(crate) struct Middleware {
    world: World,
    platform: Platform,
    /// Answer of the platform to a reached rate limit with the seconds to wait.
    throttled: fn(Limit, u32) -> Response,
}

impl Middleware {
    pub(crate) fn new(world: &World, platform: Platform, throttled: fn(Limit, u32) -> Response) -> Self {
        Self {
            world: world.clone(),
            platform,
            throttled,
        }
    }

    /// Wraps `work` as this route of the platform.
    pub(crate) fn wrap(&self, route: Route, work: MethodRouter<World>) -> MethodRouter<World> {
        work.route_layer(from_fn_with_state((self.clone(), route), apply_fault))
    }
}

async fn apply_fault(
    State((middleware, route)): State<(Middleware, Route)>,
    mut request: Request,
    next: Next,
) -> Response {
    let Middleware {
        world,
        platform,
        throttled,
    } = middleware;
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
            wait_for_release(&world, BlockedRequest { platform, route }).await;
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
        Kind::HugeBody { bytes } => json_bytes(large_json(bytes)),
        Kind::Throttle { limit, seconds } => throttled(limit, seconds),
        Kind::Deny => {
            request.extensions_mut().insert(Denied);
            next.run(request).await
        }
    }
}

/// Waits until the request is released.
async fn wait_for_release(world: &World, blocked: BlockedRequest) {
    let (id, released) = world.lock().blocked.enter(blocked);
    let _listed = Listed { world, id };
    // The sender leaves the list only to be used, so an error cannot occur; if it did, the request should go on.
    drop(released.await);
}

/// Removes the request from the list when it ends, also by cancellation.
struct Listed<'a> {
    world: &'a World,
    id: u64,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.world.lock().blocked.leave(self.id);
    }
}

/// Answer of the platform in its response format.
async fn work(world: &World, (platform, route): (Platform, Route), request: Request, next: Next) -> Response {
    let answer = next.run(request).await;
    world
        .response_format(platform)
        .apply(answer, route == Route::Token)
        .await
}

/// Answer given by a test. What HTTP cannot transport is an error of the test and is answered with 500 and the cause.
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

/// JSON string of `bytes` bytes, generated while it is sent.
fn large_json(bytes: usize) -> Body {
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
