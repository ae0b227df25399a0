//! Log output byte by byte, without the process's own subscriber.

use std::io;
use std::sync::{Arc, Mutex};

use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::Value;
use tracing_subscriber::EnvFilter;

use super::{Format, LogsError, init, node_span, subscriber, with_nodes};
use crate::trace::TARGET;

/// Writer that keeps the output.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(format: Format, filter: &str, events: impl FnOnce()) -> String {
    logged_beside(None, format, filter, events)
}

/// Log beside an exporter of traces.
fn logged_beside(traces: Option<&SdkTracerProvider>, format: Format, filter: &str, events: impl FnOnce()) -> String {
    let sink = Sink::default();
    let writer = sink.clone();
    let filter = with_nodes(EnvFilter::try_new(filter).unwrap());
    let subscriber = subscriber(format, filter, move || writer.clone(), traces);
    tracing::subscriber::with_default(subscriber, events);
    let bytes = sink.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

const HOSTILE: &str = "a\nERROR forged\r\u{1b}[2J\u{9b}2J\u{7f}\t";

#[test]
fn json_line_contains_the_fields_of_event_and_spans() {
    let log = logged(Format::Json, "info", || {
        let _span = tracing::info_span!("connection", conn = 7, user = "GEN-001").entered();
        tracing::warn!(code = "timeout", "command refused");
    });
    let line: Value = serde_json::from_str(&log).unwrap();
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["message"], "command refused");
    assert_eq!(line["code"], "timeout");
    assert_eq!(line["spans"][0]["name"], "connection");
    assert_eq!(line["spans"][0]["conn"], 7);
    assert_eq!(line["spans"][0]["user"], "GEN-001");
}

#[test]
fn hostile_text_is_written_as_one_line_without_control_characters() {
    for format in [Format::Json, Format::Human] {
        let log = logged(format, "info", || {
            let _span = tracing::info_span!("connection", agent = %HOSTILE).entered();
            tracing::info!(shown = %HOSTILE, debugged = ?HOSTILE, "{HOSTILE}");
        });
        let line = log.strip_suffix('\n').unwrap();
        assert!(!line.contains(char::is_control), "{format:?}: {line:?}");
    }
}

#[test]
fn hostile_text_survives_a_json_round_trip() {
    let log = logged(Format::Json, "info", || tracing::info!(agent = %HOSTILE, "hello"));
    let line: Value = serde_json::from_str(&log).unwrap();
    assert_eq!(line["agent"], HOSTILE);
}

#[test]
fn filter_applies_level_and_target() {
    let log = logged(Format::Human, "warn,gateway=debug", || {
        tracing::info!(target: "worker", "left out");
        tracing::debug!(target: "gateway", "kept");
    });
    assert!(log.contains("kept") && !log.contains("left out"), "{log}");
}

#[test]
fn lines_of_a_node_have_its_id_and_version_under_any_filter() {
    for (filter, target) in [
        ("info", "telemetry"),
        ("warn", "telemetry"),
        ("off,gateway=error", "gateway"),
    ] {
        let log = logged(Format::Json, filter, || {
            let _process = node_span("dev", "process").entered();
            for id in ["one", "other"] {
                let _node = node_span("gateway", id).entered();
                let _span = tracing::info_span!("connection").entered();
                match target {
                    "gateway" => tracing::error!(target: "gateway", "done"),
                    _ => tracing::warn!("done"),
                }
            }
        });
        let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{filter}: {log}");
        for (line, id) in lines.iter().zip(["one", "other"]) {
            let node = &line["spans"][0];
            assert_eq!(
                (&node["name"], &node["node"], &node["role"]),
                (&"node".into(), &id.into(), &"gateway".into())
            );
            assert_eq!(node["version"], env!("CARGO_PKG_VERSION"), "{filter}");
        }
    }
    let human = logged(Format::Human, "info", || {
        node_span("worker", "one").in_scope(|| tracing::info!("done"));
    });
    assert!(human.contains(r#"node{role="worker" node="one""#), "{human}");
}

#[test]
fn spans_for_export_are_in_no_line() {
    let provider = SdkTracerProvider::builder().build();
    for traces in [None, Some(&provider)] {
        let log = logged_beside(traces, Format::Json, "trace", || {
            let _job = tracing::info_span!("job").entered();
            let _span = tracing::info_span!(target: TARGET, "exported", secret = "s3cret").entered();
            tracing::info!(target: TARGET, "event of the span");
            tracing::info!("done");
        });
        let line: Value = serde_json::from_str(&log).unwrap();
        assert_eq!(line["message"], "done");
        let names: Vec<_> = line["spans"]
            .as_array()
            .unwrap()
            .iter()
            .map(|span| &span["name"])
            .collect();
        assert_eq!(names, ["job"], "{log}");
        assert!(!log.contains("s3cret"), "{log}");
    }
}

#[test]
fn log_is_filtered_alike_beside_an_exporter_of_traces() {
    let provider = SdkTracerProvider::builder().build();
    for traces in [None, Some(&provider)] {
        let log = logged_beside(traces, Format::Human, "warn,gateway=debug,worker[job]=trace", || {
            tracing::info!(target: "worker", "left out");
            tracing::debug!(target: "gateway", "kept 1");
            tracing::info_span!(target: "worker", "job").in_scope(|| {
                tracing::trace!(target: "worker", "kept 2");
            });
        });
        assert_eq!(log.lines().count(), 2, "{log}");
        assert!(log.contains("kept 1") && log.contains("kept 2"), "{log}");
    }
}

#[test]
fn malformed_filter_is_refused() {
    assert!(matches!(
        init(Format::Json, "gateway=loud", None),
        Err(LogsError::Filter(_))
    ));
}
