//! Metrics of one node, translated for Prometheus, and apart from those of other nodes.

use opentelemetry::KeyValue;
use telemetry::metrics::Metrics;

#[test]
fn two_nodes_of_one_process_keep_their_metrics_apart() {
    let (first, second) = (Metrics::new("gateway-1"), Metrics::new("gateway-2"));
    first.meter().u64_counter("postern.test").build().add(1, &[]);

    assert!(first.render().unwrap().contains("postern_test_total 1"));
    assert!(!second.render().unwrap().contains("postern_test_total"));
    assert!(second.render().unwrap().contains("service_instance_id=\"gateway-2\""));
}

#[test]
fn scraped_name_has_underscores_unit_and_total() {
    let metrics = Metrics::new("gateway-1");
    let meter = metrics.meter();
    meter
        .u64_counter("postern.refused")
        .build()
        .add(2, &[KeyValue::new("code", "forbidden")]);
    meter.i64_up_down_counter("postern.sockets").build().add(5, &[]);
    meter
        .f64_histogram("postern.answer.duration")
        .with_unit("s")
        .build()
        .record(0.003, &[]);

    let text = metrics.render().unwrap();
    for line in [
        "# TYPE postern_refused_total counter",
        "postern_refused_total{code=\"forbidden\"} 2",
        "# TYPE postern_sockets gauge",
        "postern_sockets 5",
        "# TYPE postern_answer_duration_seconds histogram",
        "postern_answer_duration_seconds_count 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[test]
fn duration_in_milliseconds_falls_between_its_own_buckets() {
    let metrics = Metrics::new("gateway-1");
    let histogram = metrics
        .meter()
        .f64_histogram("postern.answer.duration")
        .with_unit("s")
        .build();
    histogram.record(0.003, &[]);

    let text = metrics.render().unwrap();
    assert!(
        text.contains("postern_answer_duration_seconds_bucket{le=\"0.0025\"} 0"),
        "{text}"
    );
    assert!(
        text.contains("postern_answer_duration_seconds_bucket{le=\"0.005\"} 1"),
        "{text}"
    );
}
