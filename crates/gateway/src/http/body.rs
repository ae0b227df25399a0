//! Request body that must have arrived at a given moment, whichever route reads it.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::BoxError;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// A body with a deadline. Later it is an error.
pub(super) struct DueBody {
    body: Incoming,
    late: Pin<Box<Sleep>>,
}

/// The body was not there in time.
#[derive(Debug, thiserror::Error)]
#[error("the request took too long")]
struct Late;

impl DueBody {
    /// This body, due then.
    pub(super) fn new(body: Incoming, by: Instant) -> Self {
        Self {
            body,
            late: Box::pin(sleep_until(by)),
        }
    }
}

impl Body for DueBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        self.late.as_mut().poll(cx).map(|()| Some(Err(Late.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
