//! Answers to a client.

use protocol::answer::Failure;
use protocol::cluster::job::LeadingNotice;
use protocol::code::ErrorCode;
use protocol::command::CommandKind;
use protocol::event::{ErrorNotice, Notice};
use protocol::json::Json;
use protocol::wire::{Push, RequestId};
use serde_json::Value;
use tracing::Span;

use crate::socket::Caller;

/// Part of a request that all its answers have in common: its event, its span, and the fields that a failure takes from its payload.
#[derive(Debug, Clone)]
pub(super) struct Outline {
    kind: CommandKind,
    span: Span,
    fields: Failure,
}

impl Outline {
    /// Outline of a request without a span.
    pub(super) fn of(kind: CommandKind, data: &Value) -> Self {
        Self::traced(kind, data, Span::none())
    }

    /// Outline of a request with this span.
    pub(super) fn traced(kind: CommandKind, data: &Value, span: Span) -> Self {
        Self {
            kind,
            span,
            fields: kind.failure(Failure::of(ErrorCode::Internal), data),
        }
    }

    pub(super) fn kind(&self) -> CommandKind {
        self.kind
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    /// Returns this failure with the fields of the command's answer.
    pub(super) fn fill(&self, failure: &Failure) -> Failure {
        Failure {
            error: failure.error,
            reason: failure.reason,
            message: failure.message.clone(),
            retry_after: failure.retry_after,
            ..self.fields.clone()
        }
    }
}

/// Sends the response event of a command, a success or a failure.
pub(super) fn with_event(caller: &Caller, kind: CommandKind, data: &Json, request: Option<&RequestId>) {
    caller.send(caller.encoding.answer(kind.response_event(), data, request));
}

/// Sends the notice that precedes an answer.
pub(super) fn leading_notice(caller: &Caller, leading_notice: &LeadingNotice) {
    let push = Push {
        event: &leading_notice.event,
        data: &leading_notice.data,
        offset: None,
        event_id: None,
    };
    caller.send(vec![caller.encoding.push(&push)]);
}

/// Answers a request without a response event: by the acknowledgement, if the client asked for one, else by the notice `error`.
pub(super) fn without_event(caller: &Caller, event: Option<String>, failure: &Failure, request: Option<&RequestId>) {
    let messages = caller.encoding.ack(&failure.data(), request).map_or_else(
        || {
            let notice = Notice::Error(ErrorNotice {
                event,
                error: failure.error,
                reason: failure.reason,
                message: failure.message.clone(),
            });
            caller.encoding.answer(notice.name(), &notice.data(), request)
        },
        |ack| vec![ack],
    );
    caller.send(messages);
}
