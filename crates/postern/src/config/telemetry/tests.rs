//! Settings of the export from variables.

use std::ffi::OsString;
use std::time::Duration;

use axum::http::HeaderMap;
use telemetry::export::{OtlpProtocol, Temporality};

use super::*;
use crate::cli::{Cli, Command};
use crate::config::Environment;

/// Settings of a worker that is given these flags, `otel-...=value` each, and the reported problems.
fn checked(flags: &[&str]) -> (Option<TelemetrySettings>, Vec<String>) {
    let program = ["postern", "worker", "--redis-url", "redis://127.0.0.1"].map(OsString::from);
    let flags = flags.iter().map(|flag| OsString::from(format!("--{flag}")));
    let (cli, _) = Cli::parse_in(&Environment::from_iter([]), program.into_iter().chain(flags)).unwrap();
    let Command::Worker(args) = cli.command else {
        panic!("{:?}", cli.command)
    };
    let mut problems = Problems::default();
    let settings = args.telemetry.check(&mut problems);
    let problems = match problems.finish(Some(())) {
        Ok(()) => Vec::new(),
        Err(error) => error.lines().collect(),
    };
    (settings, problems)
}

fn accepted(flags: &[&str]) -> TelemetrySettings {
    let (settings, problems) = checked(flags);
    assert_eq!(problems, Vec::<String>::new(), "{flags:?}");
    settings.unwrap()
}

/// Signals that are exported.
fn exported(flags: &[&str]) -> String {
    let export = accepted(flags).export;
    [
        export.traces.map(|_| "traces"),
        export.metrics.map(|_| "metrics"),
        export.logs.map(|_| "logs"),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join(" ")
}

const ENDPOINT: &str = "otel-exporter-otlp-endpoint=http://127.0.0.1:4318";

#[test]
fn signals_with_an_endpoint_or_an_exporter_are_exported_and_no_others() {
    for (flags, expected) in [
        (&[][..], ""),
        (&["otel-sdk-disabled=false", "otel-service-name=x"], ""),
        (&[ENDPOINT], "traces metrics logs"),
        (&[ENDPOINT, "otel-sdk-disabled=true"], ""),
        (
            &[ENDPOINT, "otel-metrics-exporter=none", "otel-logs-exporter=none"],
            "traces",
        ),
        (
            &["otel-exporter-otlp-traces-endpoint=http://127.0.0.1:4318/v1/traces"],
            "traces",
        ),
        (&["otel-logs-exporter=otlp"], "logs"),
        (&["otel-exporter-otlp-endpoint="], ""),
        (&["otel-exporter-otlp-headers=a=b"], ""),
    ] {
        assert_eq!(exported(flags), expected, "{flags:?}");
    }
}

#[test]
fn endpoint_of_a_signal_is_complete_and_that_of_all_has_its_path_appended() {
    let endpoints = |flags: &[&str]| {
        let export = accepted(flags).export;
        let (traces, logs) = (export.traces.unwrap().otlp, export.logs.unwrap().otlp);
        [traces.endpoint.to_string(), logs.endpoint.to_string()]
    };
    for (flags, expected) in [
        (
            &[ENDPOINT][..],
            ["http://127.0.0.1:4318/v1/traces", "http://127.0.0.1:4318/v1/logs"],
        ),
        (
            &[ENDPOINT, "otel-exporter-otlp-traces-endpoint=http://127.0.0.1:9/x"],
            ["http://127.0.0.1:9/x", "http://127.0.0.1:4318/v1/logs"],
        ),
        (
            &["otel-exporter-otlp-endpoint=https://collector/base/"],
            ["https://collector/base/v1/traces", "https://collector/base/v1/logs"],
        ),
        (
            &["otel-traces-exporter=otlp", "otel-logs-exporter=otlp"],
            ["http://localhost:4318/v1/traces", "http://localhost:4318/v1/logs"],
        ),
        (
            &[ENDPOINT, "otel-exporter-otlp-protocol=grpc"],
            ["http://127.0.0.1:4318/", "http://127.0.0.1:4318/"],
        ),
        (
            &[
                "otel-exporter-otlp-protocol=grpc",
                "otel-exporter-otlp-endpoint=collector:4317",
                "otel-exporter-otlp-logs-insecure=true",
            ],
            ["https://collector:4317/", "http://collector:4317/"],
        ),
    ] {
        assert_eq!(endpoints(flags), expected, "{flags:?}");
    }
}

#[test]
fn options_of_one_signal_override_those_of_all() {
    let export = accepted(&[
        ENDPOINT,
        "otel-exporter-otlp-protocol=grpc",
        "otel-exporter-otlp-logs-protocol=http/protobuf",
        "otel-exporter-otlp-headers=authorization=Bearer%20s3cret,x-tenant=blue",
        "otel-exporter-otlp-metrics-headers=x-tenant=red",
        "otel-exporter-otlp-traces-timeout=250",
        "otel-exporter-otlp-compression=gzip",
        "otel-exporter-otlp-logs-compression=none",
    ])
    .export;
    let (traces, metrics, logs) = (export.traces.unwrap(), export.metrics.unwrap(), export.logs.unwrap());
    assert_eq!(
        (traces.otlp.protocol, logs.otlp.protocol),
        (OtlpProtocol::Grpc, OtlpProtocol::Http)
    );
    assert_eq!((traces.otlp.gzip, logs.otlp.gzip), (true, false));
    let timeouts = [traces.otlp.timeout, logs.otlp.timeout].map(|timeout| timeout.as_millis());
    assert_eq!(timeouts, [250, 10_000]);
    let header = |headers: &HeaderMap, name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(
        header(&traces.otlp.headers, "authorization").as_deref(),
        Some("Bearer s3cret")
    );
    assert_eq!(header(&metrics.otlp.headers, "x-tenant").as_deref(), Some("red"));
    assert_eq!(header(&metrics.otlp.headers, "authorization"), None);
    assert!(!format!("{traces:?}").contains("s3cret"), "{traces:?}");
}

#[test]
fn values_are_those_of_the_standard() {
    let settings = accepted(&[
        ENDPOINT,
        "otel-service-name=gateway-blue",
        "otel-resource-attributes=service.name=other,k8s.pod.name=pod%201",
        "otel-traces-sampler=parentbased_traceidratio",
        "otel-traces-sampler-arg=0.25",
        "otel-bsp-schedule-delay=7",
        "otel-blrp-max-queue-size=",
        "otel-metric-export-interval=1500",
        "otel-exporter-otlp-metrics-temporality-preference=Delta",
        "otel-span-link-count-limit=3",
    ]);
    let attributes = [
        ("service.name", "other"),
        ("k8s.pod.name", "pod 1"),
        ("service.name", "gateway-blue"),
    ];
    let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(settings.attributes, attributes);
    let export = settings.export;
    let (traces, metrics, logs) = (export.traces.unwrap(), export.metrics.unwrap(), export.logs.unwrap());
    assert_eq!((traces.sampling.ratio, traces.sampling.honours_parent), (0.25, true));
    assert_eq!(traces.batch.delay, Duration::from_millis(7));
    assert_eq!(traces.limits.max_links_per_span, 3);
    assert_eq!(metrics.interval, Duration::from_millis(1_500));
    assert_eq!(metrics.temporality, Temporality::Delta);
    let records = BatchSettings {
        delay: Duration::from_secs(1),
        timeout: Duration::from_secs(30),
        max_queue_size: 2_048,
        max_batch_size: 512,
    };
    assert_eq!(logs.batch, records);
}

#[test]
fn samplers_are_those_of_the_standard() {
    for (name, ratio, honours_parent) in [
        ("always_on", 1.0, false),
        ("always_off", 0.0, false),
        ("traceidratio", 0.5, false),
        ("parentbased_always_on", 1.0, true),
        ("parentbased_always_off", 0.0, true),
        ("parentbased_traceidratio", 0.5, true),
        ("", 1.0, true),
    ] {
        let flag = format!("otel-traces-sampler={name}");
        let traces = accepted(&[ENDPOINT, &flag, "otel-traces-sampler-arg=0.5"])
            .export
            .traces
            .unwrap();
        assert_eq!(
            (traces.sampling.ratio, traces.sampling.honours_parent),
            (ratio, honours_parent),
            "{name}"
        );
    }
}

#[test]
fn wrong_values_are_reported_by_their_variables_and_without_secrets() {
    for (flag, variable) in [
        ("dangerous-trace-users=s3cret", "POSTERN_DANGEROUS_TRACE_USERS"),
        ("otel-sdk-disabled=yes", "OTEL_SDK_DISABLED"),
        ("otel-resource-attributes=s3cret", "OTEL_RESOURCE_ATTRIBUTES"),
        ("otel-traces-exporter=console", "OTEL_TRACES_EXPORTER"),
        ("otel-metrics-exporter=prometheus", "OTEL_METRICS_EXPORTER"),
        ("otel-propagators=b3", "OTEL_PROPAGATORS"),
        ("otel-propagators=baggage", "OTEL_PROPAGATORS"),
        ("otel-traces-sampler=xray", "OTEL_TRACES_SAMPLER"),
        ("otel-traces-sampler-arg=2", "OTEL_TRACES_SAMPLER_ARG"),
        (
            "otel-exporter-otlp-endpoint=ftp://collector",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
        (
            "otel-exporter-otlp-endpoint=http://u:s3cret@collector",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
        (
            "otel-exporter-otlp-logs-endpoint=collector",
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
        ),
        ("otel-exporter-otlp-protocol=http/json", "OTEL_EXPORTER_OTLP_PROTOCOL"),
        ("otel-exporter-otlp-headers=s3cret", "OTEL_EXPORTER_OTLP_HEADERS"),
        (
            "otel-exporter-otlp-traces-headers=a b=s3cret",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        ),
        ("otel-exporter-otlp-timeout=0", "OTEL_EXPORTER_OTLP_TIMEOUT"),
        ("otel-exporter-otlp-compression=zstd", "OTEL_EXPORTER_OTLP_COMPRESSION"),
        ("otel-exporter-otlp-insecure=1", "OTEL_EXPORTER_OTLP_INSECURE"),
        ("otel-bsp-max-queue-size=0", "OTEL_BSP_MAX_QUEUE_SIZE"),
        ("otel-blrp-max-queue-size=1048577", "OTEL_BLRP_MAX_QUEUE_SIZE"),
        ("otel-bsp-max-export-batch-size=2049", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"),
        ("otel-metric-export-interval=1s", "OTEL_METRIC_EXPORT_INTERVAL"),
        ("otel-span-event-count-limit=-1", "OTEL_SPAN_EVENT_COUNT_LIMIT"),
    ] {
        let is_endpoint = flag.starts_with("otel-exporter-otlp-endpoint=");
        let flags = [ENDPOINT, flag];
        let (settings, problems) = checked(if is_endpoint { &flags[1..] } else { &flags });
        assert!(settings.is_none(), "{flag}");
        assert!(!problems.is_empty(), "{flag}");
        for problem in problems {
            assert!(problem.starts_with(&format!("{variable} ")), "{flag}: {problem}");
            assert!(!problem.contains("s3cret"), "{flag}: {problem}");
        }
    }
}

#[test]
fn files_of_tls_are_read_and_checked() {
    let authority = testkit::tls::Authority::new();
    let (certificate, key) = authority.issue_files("client");
    let flag = |option: &str, path: &std::path::Path| format!("otel-exporter-otlp-{option}={}", path.display());
    let https = "otel-exporter-otlp-endpoint=https://127.0.0.1:4318";
    let trusted = flag("certificate", authority.pem_path());
    let (own, own_key) = (flag("client-certificate", &certificate), flag("client-key", &key));
    assert_eq!(exported(&[https, &trusted, &own, &own_key]), "traces metrics logs");
    for (flags, variable) in [
        (
            &[https, "otel-exporter-otlp-certificate=/nowhere"][..],
            "OTEL_EXPORTER_OTLP_CERTIFICATE",
        ),
        (&[https, &flag("certificate", &key)], "OTEL_EXPORTER_OTLP_CERTIFICATE"),
        (&[https, &own], "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"),
        (
            &[https, &own, &flag("client-key", &certificate)],
            "OTEL_EXPORTER_OTLP_CLIENT_KEY",
        ),
    ] {
        let (settings, problems) = checked(flags);
        assert!(settings.is_none(), "{flags:?}");
        assert!(
            problems
                .iter()
                .all(|problem| problem.starts_with(&format!("{variable} "))),
            "{problems:?}"
        );
        assert!(!problems.is_empty(), "{flags:?}");
    }
}
