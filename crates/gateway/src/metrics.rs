//! Metrics of a gateway. Every label is from a bounded set, and every counter has all its series from the start.

mod bus_durations;
mod counters;
mod deliveries;
mod durations;
mod labels;
mod series;

use std::sync::Arc;
use std::time::Duration;

use bus::Liveness;
use lifecycle::Tasks;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Gauge, Meter, UpDownCounter};
use protocol::account::AccountType;
use protocol::cluster::job::Lane;
use protocol::code::ErrorCode;
use protocol::command::CommandKind;
use protocol::wire::Dialect;

use self::counters::{Counters, NO_COMMAND, close_labels};
use self::deliveries::DeliveryCounts;
use self::durations::Durations;
use self::series::{each, outcome};
use crate::close_reason::CloseReason;
use crate::label::Label;
use crate::token_error::TokenError;

pub(crate) use self::bus_durations::BusDurations;
pub(crate) use self::labels::{
    CertificateFiles, CommandStage, HandshakeOutcome, InternalRefusal, RefusalReason, ResumeOutcome, SessionDeadline,
    TokenPurpose,
};

/// Instruments of one gateway.
#[derive(Debug)]
pub(crate) struct Metrics {
    counters: Counters,
    pending: UpDownCounter<i64>,
    sockets: UpDownCounter<i64>,
    deliveries: Arc<DeliveryCounts>,
    certificate_expires: Gauge<f64>,
    lane_served: Gauge<u64>,
    durations: Durations,
}

impl Metrics {
    /// Creates the instruments; `tasks` are the gateway's, whose panics are counted.
    pub(crate) fn new(meter: &Meter, tasks: &Tasks) -> Self {
        let panics = tasks.clone();
        meter
            .u64_observable_counter("postern.gateway.panics")
            .with_description("Tasks that panicked; a connection's panic costs only itself")
            .with_callback(move |observer| observer.observe(panics.panics(), &[]))
            .build();
        Self {
            counters: Counters::new(meter),
            pending: pending(meter),
            sockets: sockets(meter),
            deliveries: deliveries(meter),
            certificate_expires: meter
                .f64_gauge("postern.gateway.certificate.expires_timestamp")
                .with_unit("s")
                .with_description("Expiry of the certificate in use, in seconds since 1970")
                .build(),
            lane_served: meter
                .u64_gauge("postern.gateway.lane_served")
                .with_description("1 while workers claim jobs of the lane, 0 after 5 s without a claim, by lane")
                .build(),
            durations: Durations::new(meter),
        }
    }

    /// Registers the gauge of the share of the sockets in use.
    pub(crate) fn observe_saturation(meter: &Meter, saturation: impl Fn() -> f64 + Send + Sync + 'static) {
        meter
            .f64_observable_gauge("postern.gateway.socket_saturation")
            .with_unit("1")
            .with_description("Sockets in use, as a share of those that the gateway may have")
            .with_callback(move |observer| observer.observe(saturation(), &[]))
            .build();
    }

    /// Durations since times on this clock.
    pub(crate) fn bus_durations(&self, clock: Arc<dyn Liveness>) -> BusDurations {
        BusDurations {
            delivery: self.durations.delivery.clone(),
            revocation_close: self.durations.revocation_close.clone(),
            clock,
        }
    }

    /// Records whether workers claim the jobs of a lane.
    pub(crate) fn lane_served(&self, lane: Lane, served: bool) {
        self.lane_served
            .record(u64::from(served), &[KeyValue::new("lane", lane.as_str())]);
    }

    /// Adds to the number of connections that are not authenticated yet.
    pub(crate) fn pending(&self, change: i64) {
        self.pending.add(change, &[]);
    }

    /// Counts a socket as open until the return value is dropped.
    pub(crate) fn connected(&self, dialect: Dialect) -> OpenSocket {
        let labels = [KeyValue::new("dialect", dialect.label())];
        self.counters.connects.add(1, &labels);
        self.sockets.add(1, &labels);
        OpenSocket {
            sockets: self.sockets.clone(),
            dialect,
        }
    }

    /// Records the time from the accept of a connection to its live socket.
    pub(crate) fn connect_duration(&self, duration: Duration) {
        self.durations.connect(duration);
    }

    /// Records how late the sockets of a session were warned or closed.
    pub(crate) fn session_lateness(&self, deadline: SessionDeadline, late: Duration) {
        self.durations.session_lateness(deadline, late);
    }

    /// Records a TLS handshake of a client.
    pub(crate) fn tls_handshake(&self, outcome: HandshakeOutcome, duration: Duration) {
        self.durations.tls_handshake(outcome, duration);
    }

    /// Counts a refused connection.
    pub(crate) fn refused(&self, reason: RefusalReason) {
        self.counters
            .refusals
            .add(1, &[KeyValue::new("reason", reason.label())]);
    }

    /// Counts a refused token, and the refused connection where it was presented for one.
    pub(crate) fn token_refused(&self, purpose: TokenPurpose, error: TokenError) {
        let labels = [
            KeyValue::new("entrance", purpose.label()),
            KeyValue::new("kind", error.kind()),
        ];
        self.counters.token_refusals.add(1, &labels);
        if purpose == TokenPurpose::Connect {
            self.counters.refusals.add(1, &[KeyValue::new("reason", error.label())]);
        }
    }

    /// Counts a closed WebSocket.
    pub(crate) fn closed(&self, reason: CloseReason) {
        self.counters.closes.add(1, &close_labels(reason));
    }

    /// Counts an answered command.
    pub(crate) fn answered(&self, kind: CommandKind, error: Option<ErrorCode>, after: Duration) {
        self.durations.command(kind, after);
        let labels = [KeyValue::new("event", kind.event()), outcome(error)];
        self.counters.commands.add(1, &labels);
    }

    /// Records the time of a command in one stage.
    pub(crate) fn command_stage(&self, kind: CommandKind, stage: CommandStage, duration: Duration) {
        self.durations.command_stage(kind, stage, duration);
    }

    /// Counts a refusal that the audit log misses.
    pub(crate) fn refusal_uncounted(&self) {
        self.counters.refusals_uncounted.add(1, &[]);
    }

    /// Counts an answered request without a command.
    pub(crate) fn refused_request(&self, error: ErrorCode) {
        let labels = [KeyValue::new("event", NO_COMMAND), outcome(Some(error))];
        self.counters.commands.add(1, &labels);
    }

    /// Counts the sockets for which an event was queued.
    pub(crate) fn delivered(&self, event: &str, sockets: usize) {
        self.deliveries.add(event, sockets);
    }

    /// Counts a read of a user's log because of a gap.
    pub(crate) fn gap(&self) {
        self.counters.gaps.add(1, &[]);
    }

    /// Counts sockets that missed events.
    pub(crate) fn resync(&self, sockets: usize) {
        self.counters
            .resyncs
            .add(u64::try_from(sockets).unwrap_or(u64::MAX), &[]);
    }

    /// Counts an attempt to resume.
    pub(crate) fn resumed(&self, outcome: ResumeOutcome, after: Duration) {
        self.counters
            .resumes
            .add(1, &[KeyValue::new("outcome", outcome.label())]);
        self.durations.resume(outcome, after);
    }

    /// Counts an event published by the internal API, by the name of its [`Event`](protocol::event::Event).
    pub(crate) fn published(&self, event: &'static str) {
        self.counters.published.add(1, &[KeyValue::new("event", event)]);
    }

    /// Counts an event that was published although older ones of its user were not yet published again.
    pub(crate) fn published_before_restore(&self) {
        self.counters.published_before_restore.add(1, &[]);
    }

    /// Counts an OAuth callback or a confirmation.
    pub(crate) fn called_back(&self, platform: AccountType, error: Option<ErrorCode>) {
        self.counters
            .callbacks
            .add(1, &[KeyValue::new("platform", platform.as_str()), outcome(error)]);
    }

    /// Counts a request to a webhook.
    pub(crate) fn webhook(&self, platform: AccountType, error: Option<ErrorCode>) {
        self.counters
            .webhooks
            .add(1, &[KeyValue::new("platform", platform.as_str()), outcome(error)]);
    }

    /// Counts a request or a TLS handshake that the internal API refused.
    pub(crate) fn internal_refused(&self, reason: InternalRefusal) {
        self.counters
            .internal_refusals
            .add(1, &[KeyValue::new("reason", reason.label())]);
    }

    /// Counts a failed reload of a listener's certificate, or of its client authorities.
    pub(crate) fn certificate_failed(&self, files: CertificateFiles) {
        self.counters
            .certificate_failures
            .add(1, &[KeyValue::new("listener", files.label())]);
    }

    /// Records the expiry of the certificate that a listener uses, since 1970.
    pub(crate) fn certificate_expires(&self, files: CertificateFiles, at: Duration) {
        let labels = [KeyValue::new("listener", files.label())];
        self.certificate_expires.record(at.as_secs_f64(), &labels);
    }
}

fn pending(meter: &Meter) -> UpDownCounter<i64> {
    let pending = meter
        .i64_up_down_counter("postern.gateway.pending_connections")
        .with_description("Connections that are not authenticated yet")
        .build();
    pending.add(0, &[]);
    pending
}

fn sockets(meter: &Meter) -> UpDownCounter<i64> {
    let sockets = meter
        .i64_up_down_counter("postern.gateway.sockets")
        .with_description("Authenticated sockets that are open, by dialect")
        .build();
    each::<Dialect>("dialect")
        .iter()
        .for_each(|labels| sockets.add(0, labels));
    sockets
}

fn deliveries(meter: &Meter) -> Arc<DeliveryCounts> {
    let counts = Arc::new(DeliveryCounts::new());
    let counted = Arc::clone(&counts);
    meter
        .u64_observable_counter("postern.gateway.deliveries")
        .with_description("Events queued for a socket, by event")
        .with_callback(move |observer| {
            for (event, count) in counted.all() {
                observer.observe(count, &[KeyValue::new("event", event)]);
            }
        })
        .build();
    counts
}

/// Socket that counts as open.
#[derive(Debug)]
pub(crate) struct OpenSocket {
    sockets: UpDownCounter<i64>,
    dialect: Dialect,
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.sockets.add(-1, &[KeyValue::new("dialect", self.dialect.label())]);
    }
}
