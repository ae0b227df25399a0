//! Parts of one client's socket that all services use: outbound queue, close reasons, client encoding, caller.
//!
//! Lies below `session`, `hub`, `command` and `connection`, which all work on it.

mod batch;
mod caller;
mod client_encoding;
mod close_request;
mod outbound;
mod outgoing;

pub(crate) use self::batch::{Batching, FeedEvent};
pub(crate) use self::caller::Caller;
pub(crate) use self::client_encoding::ClientEncoding;
pub(crate) use self::close_request::CloseRequest;
pub(crate) use self::outbound::{DirectWriter, MAX_QUEUE_BYTES, OutboundQueue, Overflowed};
pub(crate) use self::outgoing::{OutgoingMessage, QueuedMessage};
pub(crate) use crate::close_reason::CloseReason;
