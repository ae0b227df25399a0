//! Export of all three signals by real nodes, over collectors that work, hang and are not wanted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use testkit::cluster::{Cluster, Member};
use testkit::otlp::Received;
use testkit::{OtlpReceiver, Proxy, wait};

use crate::command_line::{Dev, postern_with};
use crate::stage::{POSTERN, client};

/// Ends a node, which exports what is left.
async fn stop(node: &Member) {
    node.terminate();
    assert_eq!(node.wait(wait::deadline()).await, 0, "{}", node.logs());
}

/// Instances of a service in each signal: spans, metrics, records.
fn instances(received: &Received, service: &str) -> [BTreeSet<String>; 3] {
    let instance = |resource: &BTreeMap<String, String>| {
        let is_of_service = resource["service.name"] == service;
        is_of_service.then(|| resource["service.instance.id"].clone())
    };
    [
        received
            .spans
            .iter()
            .filter_map(|span| instance(&span.resource))
            .collect(),
        received
            .metrics
            .iter()
            .filter_map(|metric| instance(&metric.resource))
            .collect(),
        received.logs.iter().filter_map(|log| instance(&log.resource)).collect(),
    ]
}

/// Id of a node in its log.
fn id(node: &Member) -> String {
    let log = node.logs();
    let line = log.lines().find(|line| line.starts_with('{')).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    line["spans"][0]["node"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn nodes_export_all_signals_by_their_ids_and_what_is_left_at_their_end() {
    for protocol in ["grpc", "http/protobuf"] {
        let receiver = OtlpReceiver::start().await;
        let cluster = Cluster::builder(POSTERN)
            .gateways(1)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url())
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .env("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=pod-1")
            // Longer than the test: all that arrives is exported at the end.
            .env("OTEL_BSP_SCHEDULE_DELAY", 3_600_000)
            .env("OTEL_BLRP_SCHEDULE_DELAY", 3_600_000)
            .env("OTEL_METRIC_EXPORT_INTERVAL", 3_600_000)
            .start()
            .await;
        let socket = client(&cluster, 0, "GEN-001").await;
        assert_eq!(socket.emit_with_ack("account:list", json!({})).await["success"], true);
        let nodes = [
            ("postern-gateway", cluster.gateway(0)),
            ("postern-worker", cluster.worker(0)),
        ];
        for (_, node) in nodes {
            stop(node).await;
        }
        let received = receiver.received();
        for (service, node) in nodes {
            let own = BTreeSet::from([id(node)]);
            for (signal, found) in ["traces", "metrics", "logs"].iter().zip(instances(&received, service)) {
                assert_eq!(found, own, "{protocol} {service} {signal}");
            }
            let stopped = |log: &&testkit::otlp::ReceivedLog| {
                log.resource["service.name"] == service && log.message() == "node stopped"
            };
            let last = received.logs.iter().find(stopped).unwrap();
            assert_eq!(last.attributes()["node"], id(node), "{protocol}");
        }
        let resources = received.logs.iter().map(|log| &log.resource);
        assert!(resources.clone().all(|resource| resource["k8s.pod.name"] == "pod-1"));
        let gauge = received
            .metrics
            .iter()
            .find(|metric| metric.metric.name == "postern.gateway.connects");
        assert!(
            gauge.unwrap().points().iter().any(|(_, value)| *value == 1.0),
            "{protocol}"
        );
    }
}

#[tokio::test]
async fn collector_that_hangs_stops_neither_commands_nor_scrapes_nor_the_end_of_a_node() {
    let receiver = OtlpReceiver::start().await;
    let proxy = Proxy::start(receiver.addr()).await;
    proxy.freeze();
    let cluster = Cluster::builder(POSTERN)
        .gateways(1)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", proxy.addr()))
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .env("OTEL_BSP_MAX_QUEUE_SIZE", 1)
        .env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1)
        .start()
        .await;
    let socket = client(&cluster, 0, "GEN-001").await;
    let dropped = r#"postern_telemetry_dropped_total{reason="queue_full",signal="traces"} "#;
    wait::until_true("dropped spans", wait::deadline(), async || {
        assert_eq!(socket.emit_with_ack("account:list", json!({})).await["success"], true);
        let metrics = cluster.gateway(0).metrics().await;
        let line = metrics.lines().find_map(|line| line.strip_prefix(dropped));
        line.unwrap() != "0"
    })
    .await;
    for node in [cluster.gateway(0), cluster.worker(0)] {
        stop(node).await;
        assert!(
            node.logs().contains("telemetry not exported completely"),
            "{}",
            node.logs()
        );
    }
    assert!(receiver.received().requests.is_empty());
}

#[tokio::test]
async fn nothing_is_exported_where_a_variable_says_so() {
    let receiver = OtlpReceiver::start().await;
    let off = [
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ];
    let mut cluster = Cluster::builder(POSTERN)
        .gateways(1)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url())
        .env("OTEL_SDK_DISABLED", "true")
        .start()
        .await;
    cluster
        .start_gateway_with(&[&[("OTEL_SDK_DISABLED", "false")], &off[..]].concat())
        .await;
    for gateway in 0..2 {
        let socket = client(&cluster, gateway, "GEN-001").await;
        assert_eq!(socket.emit_with_ack("account:list", json!({})).await["success"], true);
    }
    for node in [cluster.gateway(0), cluster.gateway(1), cluster.worker(0)] {
        stop(node).await;
        assert!(!node.logs().contains("trace_id"), "{}", node.logs());
    }
    assert!(receiver.received().requests.is_empty());
}

#[tokio::test]
async fn nodes_of_one_process_export_metrics_by_their_own_ids_and_the_rest_by_that_of_the_process() {
    let receiver = OtlpReceiver::start().await;
    let endpoint = receiver.url();
    let dev = Dev::start(&["--otel-exporter-otlp-endpoint", &endpoint]).await;
    let socket = dev.client("GEN-001").await;
    socket.emit_with_ack("account:list", json!({})).await;
    let log = dev.stop().await;
    let [traces, metrics, logs] = instances(&receiver.received(), "postern-dev");
    // Two gateways, a worker, and the process itself; a taken port costs a gateway another attempt with an id of its own.
    assert!(metrics.len() >= 4, "{metrics:?}");
    assert_eq!(traces, logs);
    assert_eq!(logs.len(), 1);
    assert!(logs.is_subset(&metrics));
    for id in &metrics {
        assert!(log.contains(id.as_str()) || !logs.contains(id), "{id} in\n{log}");
    }
}

#[tokio::test]
async fn config_check_shows_the_variables_and_masks_headers() {
    let variables = |compression: &str| {
        [
            ("POSTERN_REDIS_URL", "redis://127.0.0.1".to_owned()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318".to_owned()),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=swordfish".to_owned()),
            ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", compression.to_owned()),
            ("OTEL_OF_ANOTHER_PROGRAM", "x".to_owned()),
        ]
    };
    let checked = postern_with(&["config", "check", "worker"], &variables("gzip")).await;
    for line in [
        "## Telemetry (OpenTelemetry)",
        "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318  # environment",
        "OTEL_EXPORTER_OTLP_HEADERS=***  # environment",
        "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf  # default",
        "# OTEL_EXPORTER_OTLP_LOGS_ENDPOINT is not set",
    ] {
        assert!(
            checked.stdout.lines().any(|found| found == line),
            "{line}:\n{}",
            checked.stdout
        );
    }
    assert!(!checked.stderr.contains("OTEL_"), "{}", checked.stderr);
    let refused = postern_with(&["config", "check", "worker"], &variables("zstd")).await;
    let expected = "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION is `gzip` or `none`";
    let found = refused.stderr.lines().filter(|line| line.ends_with(expected)).count();
    assert_eq!((refused.status, found), (1, 1), "{}", refused.stderr);
    assert!(!(checked.stdout + &refused.stdout + &refused.stderr).contains("swordfish"));
}

#[tokio::test]
async fn format_of_the_log_is_that_of_the_variable() {
    let mut cluster = Cluster::builder(POSTERN)
        .gateways(0)
        .env("POSTERN_LOG_FORMAT", "text")
        .start()
        .await;
    cluster.start_gateway_with(&[("POSTERN_LOG_FORMAT", "json")]).await;
    let is_json = |node: &Member| {
        let log = node.logs();
        let line = log.lines().find(|line| line.contains("started")).unwrap().to_owned();
        serde_json::from_str::<Value>(&line).is_ok()
    };
    assert!(is_json(cluster.gateway(0)));
    assert!(!is_json(cluster.worker(0)));
    let refused = postern_with(&["worker"], &[("POSTERN_LOG_FORMAT", "logfmt".to_owned())]).await;
    let line = "POSTERN_LOG_FORMAT is `json` or `text`";
    assert!(
        refused.status == 1 && refused.stderr.contains(line),
        "{}",
        refused.stderr
    );
}
