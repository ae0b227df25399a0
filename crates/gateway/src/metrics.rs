//! Metrics of a gateway.

use lifecycle::Tasks;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter};
use protocol::account::AccountType;
use protocol::cluster::job::Lane;
use protocol::code::ErrorCode;
use protocol::command::CommandKind;
use protocol::wire::Dialect;
use std::time::Duration;

/// Instruments of one gateway.
#[derive(Debug)]
pub(crate) struct Metrics {
    pending: UpDownCounter<i64>,
    sockets: UpDownCounter<i64>,
    connects: Counter<u64>,
    refusals: Counter<u64>,
    token_refusals: Counter<u64>,
    closes: Counter<u64>,
    commands: Counter<u64>,
    command_seconds: Histogram<f64>,
    deliveries: Counter<u64>,
    gaps: Counter<u64>,
    resyncs: Counter<u64>,
    resumes: Counter<u64>,
    published: Counter<u64>,
    internal_refusals: Counter<u64>,
    callbacks: Counter<u64>,
    webhooks: Counter<u64>,
    certificate_failures: Counter<u64>,
    certificate_expires: Gauge<f64>,
    refusals_uncounted: Counter<u64>,
    lane_served: Gauge<u64>,
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
        let counter = |name: &'static str, what: &'static str| meter.u64_counter(name).with_description(what).build();
        Self {
            pending: meter
                .i64_up_down_counter("postern.gateway.pending_connections")
                .with_description("Connections that are not authenticated yet")
                .build(),
            sockets: meter
                .i64_up_down_counter("postern.gateway.sockets")
                .with_description("Authenticated sockets that are open, by dialect")
                .build(),
            connects: counter("postern.gateway.connects", "Sockets that became live, by dialect"),
            refusals: counter("postern.gateway.refusals", "Connections refused, by reason"),
            token_refusals: counter(
                "postern.gateway.token_refusals",
                "Tokens that were refused, by entrance and kind",
            ),
            closes: counter("postern.gateway.closes", "WebSockets closed, by close code and reason"),
            commands: counter("postern.gateway.commands", "Commands answered, by event and outcome"),
            command_seconds: meter
                .f64_histogram("postern.gateway.command.duration")
                .with_unit("s")
                .with_description("Time from a command to its answer, by event")
                .build(),
            deliveries: counter("postern.gateway.deliveries", "Events queued for a socket, by event"),
            gaps: counter("postern.gateway.gaps", "Reads of a user's event log because of a gap"),
            resyncs: counter(
                "postern.gateway.resyncs",
                "Sockets that missed events which cannot be recovered",
            ),
            resumes: counter("postern.gateway.resumes", "Attempts to resume, by outcome"),
            published: counter(
                "postern.gateway.published",
                "Events published by the internal API, by event",
            ),
            internal_refusals: counter(
                "postern.gateway.internal_refusals",
                "Requests and TLS handshakes that the internal API refused, by reason",
            ),
            callbacks: counter(
                "postern.gateway.callbacks",
                "OAuth callbacks and confirmations, by platform and outcome",
            ),
            webhooks: counter(
                "postern.gateway.webhooks",
                "Requests to platforms' webhooks, by platform and outcome",
            ),
            certificate_failures: counter(
                "postern.gateway.certificate.failures",
                "Certificate reloads that failed",
            ),
            certificate_expires: meter
                .f64_gauge("postern.gateway.certificate.expires_timestamp")
                .with_unit("s")
                .with_description("Expiry of the certificate in use, in seconds since 1970")
                .build(),
            refusals_uncounted: counter(
                "postern.gateway.refusals_uncounted",
                "Refused commands missing in the audit log, because too many users were refused at once",
            ),
            lane_served: meter
                .u64_gauge("postern.gateway.lane_served")
                .with_description("1 while workers claim jobs of the lane, 0 after 5 s without a claim, by lane")
                .build(),
        }
    }

    /// Records whether workers claim the jobs of a lane.
    pub(crate) fn lane_served(&self, lane: Lane, served: bool) {
        self.lane_served
            .record(u64::from(served), &[KeyValue::new("lane", lane.as_str())]);
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

    /// Adds to the number of connections that are not authenticated yet.
    pub(crate) fn pending(&self, change: i64) {
        self.pending.add(change, &[]);
    }

    /// Counts a socket as open until the return value is dropped.
    pub(crate) fn connected(&self, dialect: Dialect) -> OpenSocket {
        let labels = [KeyValue::new("dialect", dialect_name(dialect))];
        self.connects.add(1, &labels);
        self.sockets.add(1, &labels);
        OpenSocket {
            sockets: self.sockets.clone(),
            dialect,
        }
    }

    /// Counts a refused connection.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refusals.add(1, &[KeyValue::new("reason", reason)]);
    }

    /// Counts a refused token, by purpose and kind.
    pub(crate) fn token_refused(&self, entrance: &'static str, kind: &'static str) {
        let labels = [KeyValue::new("entrance", entrance), KeyValue::new("kind", kind)];
        self.token_refusals.add(1, &labels);
    }

    /// Counts a closed WebSocket; code 0 is no Close frame.
    pub(crate) fn closed(&self, code: u16, reason: &'static str) {
        let labels = [KeyValue::new("code", i64::from(code)), KeyValue::new("reason", reason)];
        self.closes.add(1, &labels);
    }

    /// Counts an answered command.
    pub(crate) fn answered(&self, kind: CommandKind, error: Option<ErrorCode>, after: Duration) {
        let event = KeyValue::new("event", kind.event());
        self.command_seconds
            .record(after.as_secs_f64(), std::slice::from_ref(&event));
        let outcome = KeyValue::new("outcome", error.map_or("ok", ErrorCode::as_str));
        self.commands.add(1, &[event, outcome]);
    }

    /// Counts a refusal that the audit log misses.
    pub(crate) fn refusal_uncounted(&self) {
        self.refusals_uncounted.add(1, &[]);
    }

    /// Counts an answered request without a command.
    pub(crate) fn refused_request(&self, error: ErrorCode) {
        let labels = [KeyValue::new("event", "none"), KeyValue::new("outcome", error.as_str())];
        self.commands.add(1, &labels);
    }

    /// Counts the sockets for which an event was queued.
    pub(crate) fn delivered(&self, event: &str, sockets: usize) {
        let sockets = u64::try_from(sockets).unwrap_or(u64::MAX);
        self.deliveries
            .add(sockets, &[KeyValue::new("event", event.to_owned())]);
    }

    /// Counts a read of a user's log because of a gap.
    pub(crate) fn gap(&self) {
        self.gaps.add(1, &[]);
    }

    /// Counts sockets that missed events.
    pub(crate) fn resync(&self, sockets: usize) {
        self.resyncs.add(u64::try_from(sockets).unwrap_or(u64::MAX), &[]);
    }

    /// Counts an attempt to resume.
    pub(crate) fn resumed(&self, outcome: &'static str) {
        self.resumes.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    /// Counts an event published by the internal API.
    pub(crate) fn published(&self, event: &'static str) {
        self.published.add(1, &[KeyValue::new("event", event)]);
    }

    /// Counts an OAuth callback or a confirmation.
    pub(crate) fn called_back(&self, platform: AccountType, error: Option<ErrorCode>) {
        let outcome = KeyValue::new("outcome", error.map_or("ok", ErrorCode::as_str));
        self.callbacks
            .add(1, &[KeyValue::new("platform", platform.as_str()), outcome]);
    }

    /// Counts a request to a webhook.
    pub(crate) fn webhook(&self, platform: AccountType, error: Option<ErrorCode>) {
        let outcome = KeyValue::new("outcome", error.map_or("ok", ErrorCode::as_str));
        self.webhooks
            .add(1, &[KeyValue::new("platform", platform.as_str()), outcome]);
    }

    /// Counts a request or a TLS handshake that the internal API refused.
    pub(crate) fn internal_refused(&self, reason: &'static str) {
        self.internal_refusals.add(1, &[KeyValue::new("reason", reason)]);
    }

    /// Counts a failed reload of a listener's certificate, or of its client authorities.
    pub(crate) fn certificate_failed(&self, listener: &'static str) {
        self.certificate_failures.add(1, &[KeyValue::new("listener", listener)]);
    }

    /// Records the expiry of the certificate that a listener uses, since 1970.
    pub(crate) fn certificate_expires(&self, listener: &'static str, at: Duration) {
        let labels = [KeyValue::new("listener", listener)];
        self.certificate_expires.record(at.as_secs_f64(), &labels);
    }
}

/// Socket that counts as open.
#[derive(Debug)]
pub(crate) struct OpenSocket {
    sockets: UpDownCounter<i64>,
    dialect: Dialect,
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        let labels = [KeyValue::new("dialect", dialect_name(self.dialect))];
        self.sockets.add(-1, &labels);
    }
}

fn dialect_name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::NativeJson => "native_json",
        Dialect::NativeMsgpack => "native_msgpack",
        Dialect::SocketIo => "socketio",
        Dialect::SocketIoMsgpack => "socketio_msgpack",
    }
}
