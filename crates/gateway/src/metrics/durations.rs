//! Durations of a gateway's own steps.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};
use protocol::command::CommandKind;

use super::labels::{CommandStage, HandshakeOutcome, ResumeOutcome, SessionDeadline};
use crate::label::Label;

/// Histograms of durations that begin and end on this gateway, and of those that begin on another node.
#[derive(Debug)]
pub(super) struct Durations {
    command: Histogram<f64>,
    command_stage: Histogram<f64>,
    connect: Histogram<f64>,
    tls_handshake: Histogram<f64>,
    resume: Histogram<f64>,
    session_lateness: Histogram<f64>,
    /// Publish of an event to its write to a socket.
    pub(super) delivery: Histogram<f64>,
    /// End of a session to the close of its socket.
    pub(super) revocation_close: Histogram<f64>,
}

impl Durations {
    /// Creates the histograms.
    pub(super) fn new(meter: &Meter) -> Self {
        let histogram = |name: &'static str, what: &'static str| {
            let histogram = meter.f64_histogram(name).with_unit("s");
            histogram.with_description(what).build()
        };
        Self {
            command: histogram(
                "postern.gateway.command.duration",
                "Time from a command to its answer, by event",
            ),
            command_stage: histogram(
                "postern.gateway.command.stage.duration",
                "Time of a command in one stage, by event",
            ),
            connect: histogram(
                "postern.gateway.connect.duration",
                "Time from the accept of a connection to its live socket",
            ),
            tls_handshake: histogram(
                "postern.gateway.tls.handshake.duration",
                "Time of a TLS handshake of a client, by outcome",
            ),
            resume: histogram(
                "postern.gateway.resume.duration",
                "Time of the redemption of a resume token and the read of missed events, by outcome",
            ),
            session_lateness: histogram(
                "postern.gateway.session.lateness",
                "Time from a deadline of a session until its sockets are warned or closed, by deadline",
            ),
            delivery: histogram(
                "postern.gateway.delivery.latency",
                "Time from the publish of an event to its write to a socket",
            ),
            revocation_close: histogram(
                "postern.gateway.revocation.close.duration",
                "Time from the end of a session until its socket is closed, without the peer's part of the close",
            ),
        }
    }

    pub(super) fn command(&self, kind: CommandKind, duration: Duration) {
        self.command
            .record(duration.as_secs_f64(), &[KeyValue::new("event", kind.event())]);
    }

    pub(super) fn command_stage(&self, kind: CommandKind, stage: CommandStage, duration: Duration) {
        let labels = [
            KeyValue::new("event", kind.event()),
            KeyValue::new("stage", stage.label()),
        ];
        self.command_stage.record(duration.as_secs_f64(), &labels);
    }

    pub(super) fn connect(&self, duration: Duration) {
        self.connect.record(duration.as_secs_f64(), &[]);
    }

    pub(super) fn tls_handshake(&self, outcome: HandshakeOutcome, duration: Duration) {
        self.tls_handshake
            .record(duration.as_secs_f64(), &[KeyValue::new("outcome", outcome.label())]);
    }

    pub(super) fn session_lateness(&self, deadline: SessionDeadline, late: Duration) {
        self.session_lateness
            .record(late.as_secs_f64(), &[KeyValue::new("deadline", deadline.label())]);
    }

    pub(super) fn resume(&self, outcome: ResumeOutcome, duration: Duration) {
        self.resume
            .record(duration.as_secs_f64(), &[KeyValue::new("outcome", outcome.label())]);
    }
}
