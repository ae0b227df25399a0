//! Telemetry of a whole cluster at a receiver of OTLP: one command is one trace, the deliveries are linked to it, the signals have the same
//! resource, and none has a secret.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;
use testkit::OtlpReceiver;
use testkit::cluster::Cluster;
use testkit::otlp::{Received, ReceivedSpan};

use crate::stage::{POSTERN, Platforms, client, connect};

/// User whose id no span and no metric may have.
const USER: &str = "user-whose-id-is-a-canary";

/// Two gateways and a worker that export all signals to this receiver, with a span for each delivery.
async fn exporting(platforms: &Platforms, receiver: &OtlpReceiver) -> Cluster {
    platforms
        .linked_to(Cluster::builder(POSTERN))
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url())
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .env("OTEL_BSP_SCHEDULE_DELAY", 100)
        .env("OTEL_BLRP_SCHEDULE_DELAY", 100)
        .env("OTEL_METRIC_EXPORT_INTERVAL", 500)
        .env("POSTERN_LOG", "info,gateway=debug,worker=debug")
        .gateway_env("POSTERN_TRACE_DELIVERY_RATIO", 1)
        .start()
        .await
}

/// Spans of one trace.
struct Trace(Vec<ReceivedSpan>);

impl Trace {
    /// Trace of the only command with this name; none before its first span is received.
    fn of_command(received: &Received, command: &str) -> Option<Self> {
        let is_root = |span: &&ReceivedSpan| span.span.name == command && span.parent_id().is_empty();
        let trace = received.spans.iter().find(is_root)?.trace_id();
        let spans = received.spans.iter().filter(|span| span.trace_id() == trace);
        Some(Self(spans.cloned().collect()))
    }

    /// Names of the spans from the root to the first one with this name; none while one of them is missing.
    fn path(&self, name: &str) -> Option<Vec<&str>> {
        let mut span = self.0.iter().find(|span| span.span.name == name)?;
        let mut path = vec![span.span.name.as_str()];
        while !span.parent_id().is_empty() {
            let parent = span.parent_id();
            span = self.0.iter().find(|span| span.span_id() == parent)?;
            path.insert(0, span.span.name.as_str());
        }
        Some(path)
    }

    /// True if each span but the root has its parent in the trace.
    fn is_connected(&self) -> bool {
        let ids: BTreeSet<_> = self.0.iter().map(ReceivedSpan::span_id).collect();
        let roots = self.0.iter().filter(|span| span.parent_id().is_empty()).count();
        let has_parent = |span: &ReceivedSpan| span.parent_id().is_empty() || ids.contains(&span.parent_id());
        roots == 1 && self.0.iter().all(has_parent)
    }

    fn ids_of(&self, name: &str) -> BTreeSet<String> {
        let named = self.0.iter().filter(|span| span.span.name == name);
        named.map(ReceivedSpan::span_id).collect()
    }
}

/// Steps of `account:connect`, each with the spans that are above it, in this order.
const STEPS: [(&str, &[&str]); 9] = [
    ("admit", &["account:connect"]),
    ("send interactive", &["account:connect"]),
    ("process interactive", &["account:connect", "send interactive"]),
    ("begin the exchange", &["send interactive", "process interactive"]),
    (
        "POST /login/oauth/access_token",
        &["process interactive", "exchange code"],
    ),
    ("GET /user", &["process interactive"]),
    ("store the link", &["process interactive"]),
    ("relay outbox", &["process interactive"]),
    ("send events", &["process interactive", "relay outbox"]),
];

/// Waits until the trace of `account:connect` has all its steps, and until each gateway has delivered its event.
async fn connect_and_deliveries(receiver: &OtlpReceiver) -> (Trace, Vec<ReceivedSpan>) {
    receiver
        .until("the trace of the command and its deliveries", |received| {
            let trace = Trace::of_command(received, "account:connect")?;
            let is_complete = STEPS.iter().all(|(step, _)| trace.path(step).is_some());
            let published = trace.ids_of("send events");
            let is_of_trace = |span: &&ReceivedSpan| span.links().iter().any(|(_, span)| published.contains(span));
            let of_trace: Vec<_> = received.spans.iter().filter(is_of_trace).cloned().collect();
            let is_status = |span: &&ReceivedSpan| span.span.name == "deliver account:status_changed";
            let deliveries = of_trace.iter().filter(is_status).count();
            (is_complete && trace.is_connected() && deliveries >= 2).then_some((trace, of_trace))
        })
        .await
}

#[tokio::test]
async fn connect_on_two_gateways_and_a_worker_is_one_trace_with_linked_deliveries() {
    let (platforms, receiver) = (Platforms::start().await, OtlpReceiver::start().await);
    let cluster = exporting(&platforms, &receiver).await;
    let (caller, device) = (client(&cluster, 0, USER).await, client(&cluster, 1, USER).await);
    let answer = caller
        .emit_with_ack("account:connect", connect(USER, "test_code_ada"))
        .await;
    assert_eq!(answer["success"], true, "{answer}");
    device.next_event("account:status_changed").await;

    let (trace, deliveries) = connect_and_deliveries(&receiver).await;
    for (step, above) in STEPS {
        let path = trace.path(step).unwrap();
        let mut rest = path.iter();
        assert!(
            above.iter().all(|name| rest.any(|found| found == name)),
            "{step}: {path:?}"
        );
        assert_eq!(path[0], "account:connect", "{step}: {path:?}");
    }
    let command = trace.0.iter().find(|span| span.span.name == "account:connect").unwrap();
    assert_eq!(command.resource["service.name"], "postern-gateway");
    let job = trace
        .0
        .iter()
        .find(|span| span.span.name == "process interactive")
        .unwrap();
    assert_eq!(job.resource["service.name"], "postern-worker");
    let mut gateways = BTreeSet::new();
    for delivery in &deliveries {
        assert!(delivery.parent_id().is_empty(), "{delivery:?}");
        assert_ne!(delivery.trace_id(), command.trace_id());
        gateways.insert(delivery.resource["service.instance.id"].clone());
    }
    assert_eq!(gateways.len(), 2, "{gateways:?}");
    assert!(gateways.contains(&command.resource["service.instance.id"]));
    drop(cluster);
}

/// Resources of the items of one signal, by the node's id.
type Resources = BTreeMap<String, Arc<BTreeMap<String, String>>>;

fn by_node<'a>(resources: impl Iterator<Item = &'a Arc<BTreeMap<String, String>>>) -> Resources {
    let entry =
        |resource: &Arc<BTreeMap<String, String>>| (resource["service.instance.id"].clone(), Arc::clone(resource));
    resources.map(entry).collect()
}

#[tokio::test]
async fn traces_metrics_and_logs_of_a_node_have_the_same_resource() {
    let (platforms, receiver) = (Platforms::start().await, OtlpReceiver::start().await);
    let cluster = exporting(&platforms, &receiver).await;
    let (caller, device) = (client(&cluster, 0, USER).await, client(&cluster, 1, USER).await);
    caller
        .emit_with_ack("account:connect", connect(USER, "test_code_ada"))
        .await;
    device.next_event("account:status_changed").await;
    let (trace, _) = connect_and_deliveries(&receiver).await;
    let id = trace.0[0].trace_id();
    let signals = receiver
        .until("all signals of all nodes", |received| {
            let signals = [
                by_node(received.spans.iter().map(|span| &span.resource)),
                by_node(received.metrics.iter().map(|metric| &metric.resource)),
                by_node(received.logs.iter().map(|log| &log.resource)),
            ];
            let is_complete = signals.iter().all(|nodes| nodes.len() == 3);
            let has_trace = received.logs.iter().any(|log| log.trace_id() == id);
            (is_complete && has_trace).then_some(signals)
        })
        .await;
    assert_eq!(signals[0], signals[1]);
    assert_eq!(signals[0], signals[2]);
    drop(cluster);
}

#[tokio::test]
async fn no_signal_has_a_secret_and_no_span_or_metric_a_user() {
    let (platforms, receiver) = (Platforms::start().await, OtlpReceiver::start().await);
    let cluster = exporting(&platforms, &receiver).await;
    cluster.canary(simulator::CLIENT_SECRET);
    let caller = client(&cluster, 0, USER).await;
    let authorize = json!({"accountType": "github", "redirectUri": "http://localhost:3000/callback"});
    let authorized = caller.emit_with_ack("account:authorize", authorize).await;
    let code = "test_code_that_no_signal_may_have";
    let mut command = connect(USER, code);
    command["state"] = authorized["state"].clone();
    cluster.canary(code);
    command["idempotencyKey"] = json!("link");
    let answer = caller.emit_with_ack("account:connect", command).await;
    assert_eq!(answer["success"], true, "{answer}");
    platforms.watch_tokens(&cluster);
    for command in ["account:sync", "account:list", "account:disconnect"] {
        let asked = json!({"userId": USER, "accountType": "github"});
        let answer = caller.emit_with_ack(command, asked).await;
        assert_eq!(answer["success"], true, "{command}: {answer}");
    }
    let asked = json!({"userId": USER, "action": "security:revoke_all"});
    let confirmation = caller.emit_with_ack("security:request_confirmation", asked).await;
    assert_eq!(confirmation["success"], true, "{confirmation}");
    receiver
        .span("the last command", |span| {
            span.span.name == "security:request_confirmation"
        })
        .await;
    receiver.metric("a metric", |_| true).await;
    receiver.log("a log record", |_| true).await;
    assert_eq!(cluster.finish_exporting_to(&receiver).await, Vec::<String>::new());

    let received = receiver.received();
    let without_logs = Received {
        logs: Vec::new(),
        ..received
    };
    let found: Vec<_> = without_logs
        .text()
        .lines()
        .filter(|line| line.contains(USER))
        .map(str::to_owned)
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}
