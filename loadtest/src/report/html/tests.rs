//! Tests of the page.

use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::results::LatencyLog;

fn results() -> Results {
    let start = Instant::now();
    let mut log = LatencyLog::new(start);
    for number in 0..1000u64 {
        let due = start + Duration::from_millis(number * 5);
        log.record(due, due + Duration::from_micros(300 + number));
    }
    let sample =
        |at: u32| serde_json::json!({ "at": at, "cpu_seconds": f64::from(at) / 2.0, "resident_bytes": 10 << 20 });
    serde_json::from_value(serde_json::json!({
        "version": crate::results::VERSION,
        "subject": { "scenario": "fanout", "target": "postern", "label": "<b>Postern</b> & co", "seed": 7, "parameters": {} },
        "started": "2026-11-30T00:00:00Z",
        "seconds": 5.0,
        "machine": { "cpus": 2, "cpu_model": "test", "memory_bytes": 1, "kernel": "6" },
        "phases": [{ "name": "measure", "from": 1.0, "to": 4.0, "usage": {} }],
        "counts": { "lost": 0 },
        "figures": {},
        "latencies": { "delivery": log.summary() },
        "processes": { "gateway": (0..5).map(sample).collect::<Vec<_>>() },
        "limits": [{ "limit": "lost<=0", "value": 0.0, "is_met": true }],
    }))
    .unwrap()
}

#[test]
fn page_refers_to_nothing_outside_itself() {
    let page = page(&results());
    for reference in ["http:", "https:", "src=", "href=", "url(", "@import", "<script"] {
        assert!(!page.contains(reference), "{reference}");
    }
}

#[test]
fn labels_are_escaped_wherever_they_appear() {
    let page = page(&results());
    assert!(page.contains("&lt;b&gt;Postern&lt;/b&gt; &amp; co"));
    assert!(!page.contains("<b>"));
}

#[test]
fn page_has_a_plot_of_percentiles_of_latency_by_second_of_cpu_and_of_memory() {
    let page = page(&results());
    for title in [
        "Percentiles of latency",
        "Latency over time: delivery",
        "CPU by role",
        "Resident memory by role",
    ] {
        let caption = format!("<figcaption>{title}</figcaption>");
        let (_, figure) = page.split_once(&caption).unwrap_or_else(|| panic!("no {title}"));
        let (figure, _) = figure.split_once("</figure>").unwrap();
        let (_, points) = figure.split_once("<polyline class=\"c0\" points=\"").unwrap();
        assert!(
            points.split_once('"').unwrap().0.split_whitespace().count() >= 4,
            "{title}"
        );
        assert!(!figure.contains("NaN") && !figure.contains("inf"), "{title}");
    }
    assert!(page.contains("<h2>Limits</h2>") && page.contains("lost&lt;=0"));
}

#[test]
fn results_without_latencies_and_samples_make_a_page_without_plots() {
    let mut results = results();
    results.latencies.clear();
    results.processes.clear();
    let page = page(&results);
    assert!(!page.contains("<svg") && page.contains("<h2>Values</h2>"));
}

#[test]
fn cpu_is_the_use_between_samples_and_close_samples_are_joined() {
    let sample = |at, cpu_seconds| Sample {
        at,
        cpu_seconds,
        resident_bytes: 0,
    };
    let samples = [sample(0.0, 1.0), sample(1.0, 1.5), sample(1.01, 1.6), sample(2.0, 2.5)];
    let points = cores(&samples);
    assert_eq!(points.len(), 2);
    assert!(
        (points[0].1 - 0.5).abs() < 1e-9 && (points[1].1 - 1.0).abs() < 1e-9,
        "{points:?}"
    );
}
