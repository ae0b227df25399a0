//! Log output byte by byte, without the process's own subscriber.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::{Format, LogsError, init, node_span, subscriber};
use crate::export::{self, Exports, ServiceIdentity};
use crate::trace::{self, TARGET};

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
    logged_beside(&not_exporting(), format, filter, events)
}

/// Log beside exporters.
fn logged_beside(exports: &Exports, format: Format, filter: &str, events: impl FnOnce()) -> String {
    let sink = Sink::default();
    let writer = sink.clone();
    let subscriber = subscriber(format, filter, move || writer.clone(), exports).unwrap();
    tracing::subscriber::with_default(subscriber, events);
    let bytes = sink.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn not_exporting() -> Exports {
    Exports::none(ServiceIdentity::new("postern-test", "one"))
}

fn exporting() -> Exports {
    export::to_nowhere(ServiceIdentity::new("postern-test", "one"))
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
    for format in [Format::Json, Format::Text] {
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
    let log = logged(Format::Text, "warn,gateway=debug", || {
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
    let text = logged(Format::Text, "info", || {
        node_span("worker", "one").in_scope(|| tracing::info!("done"));
    });
    assert!(text.contains(r#"node{role="worker" node="one""#), "{text}");
}

#[test]
fn spans_for_export_are_in_no_line() {
    for exports in [not_exporting(), exporting()] {
        let log = logged_beside(&exports, Format::Json, "trace", || {
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
    for exports in [not_exporting(), exporting()] {
        let log = logged_beside(&exports, Format::Text, "warn,gateway=debug,worker[job]=trace", || {
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
fn lines_within_a_trace_have_its_id() {
    let mut context = None;
    let exports = exporting();
    let mut logged = |format| {
        logged_beside(&exports, format, "info", || {
            tracing::info_span!(target: TARGET, "command").in_scope(|| {
                context = trace::current();
                let _job = tracing::info_span!("job").entered();
                tracing::info!(agent = "\"}", "inside");
            });
            tracing::info!("outside");
        })
    };
    let (json, text) = (logged(Format::Json), logged(Format::Text));
    let [inside, outside]: [Value; 2] = std::array::from_fn(|index| {
        let line = json.lines().nth(index).unwrap();
        serde_json::from_str(line).unwrap()
    });
    assert_eq!(inside["message"], "inside");
    assert_eq!(inside["agent"], "\"}");
    assert_eq!(inside["trace_id"].as_str().map(str::len), Some(32), "{json}");
    assert_eq!(inside["span_id"].as_str().map(str::len), Some(16), "{json}");
    assert_eq!(outside["message"], "outside");
    assert!(outside.get("trace_id").is_none(), "{json}");
    let id = context.unwrap().trace_id();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].contains(&format!(" trace_id={id} span_id=")), "{text}");
    assert!(!lines[1].contains("trace_id"), "{text}");
}

#[test]
fn malformed_filter_is_refused() {
    assert!(matches!(
        init(Format::Json, "gateway=loud", &not_exporting()),
        Err(LogsError::Filter(_))
    ));
}
