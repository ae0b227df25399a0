//! Export to a real receiver, and to one that refuses, hangs, dies and comes back.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::trace::SpanLimits;
use protocol::secret::Secret;
use testkit::tls::Authority;
use testkit::{OtlpReceiver, Proxy, wait};
use tracing::Span;
use tracing::subscriber::DefaultGuard;

use super::*;
use crate::logs::{self, Format};
use crate::metrics::Metrics;
use crate::trace::{self, TARGET};

/// Settings of all signals for one collector, with batches of 4 that wait for 10 ms.
fn settings_of(otlp: &OtlpSettings) -> ExportSettings {
    let batch = BatchSettings {
        delay: Duration::from_millis(10),
        timeout: Duration::from_secs(2),
        max_queue_size: 8,
        max_batch_size: 4,
    };
    ExportSettings {
        traces: Some(TracesSettings {
            otlp: otlp.clone(),
            batch,
            sampling: TraceSampling {
                ratio: 1.0,
                honours_parent: true,
            },
            limits: SpanLimits::default(),
            dangerous_users: None,
        }),
        metrics: Some(MetricsSettings {
            otlp: otlp.clone(),
            interval: Duration::from_millis(50),
            timeout: Duration::from_secs(2),
            temporality: Temporality::Cumulative,
        }),
        logs: Some(LogsSettings {
            otlp: otlp.clone(),
            batch,
        }),
    }
}

fn otlp(url: &str, protocol: OtlpProtocol) -> OtlpSettings {
    OtlpSettings {
        endpoint: url.parse().unwrap(),
        protocol,
        headers: HeaderMap::new(),
        timeout: Duration::from_secs(1),
        gzip: false,
        tls: None,
    }
}

pub(super) fn settings() -> ExportSettings {
    settings_of(&otlp("http://127.0.0.1:4317", OtlpProtocol::Grpc))
}

/// Process that exports all signals to one receiver.
struct Process {
    metrics: Metrics,
    tasks: Tasks,
    spans: AtomicU64,
    _log: DefaultGuard,
}

impl Process {
    /// Starts the exporters; `endpoint` changes the endpoint of a signal, as HTTP has a path of its own for each.
    fn start(otlp: &OtlpSettings) -> Self {
        let mut settings = settings_of(otlp);
        if otlp.protocol == OtlpProtocol::Http {
            let path = |path| {
                format!("{}{path}", otlp.endpoint)
                    .replace("//v1", "/v1")
                    .parse()
                    .unwrap()
            };
            settings.traces.as_mut().unwrap().otlp.endpoint = path("/v1/traces");
            settings.metrics.as_mut().unwrap().otlp.endpoint = path("/v1/metrics");
            settings.logs.as_mut().unwrap().otlp.endpoint = path("/v1/logs");
        }
        Self::of(settings)
    }

    fn of(settings: ExportSettings) -> Self {
        let attributes = [("k8s.pod.name".to_owned(), "pod-1".to_owned())];
        let service = ServiceIdentity::new("postern-test", "node-1").with_attributes(attributes);
        let (exports, exporters) = pipelines(settings, service);
        let tasks = Tasks::new();
        exporters.start(&tasks).unwrap();
        let subscriber = logs::subscriber(Format::Text, "info", io::sink, &exports).unwrap();
        Self {
            metrics: Metrics::of_node(&exports, "node-1"),
            tasks,
            spans: AtomicU64::new(0),
            _log: tracing::subscriber::set_default(subscriber),
        }
    }

    /// Ends a span, in which it logs a line, and returns its name.
    fn work(&self) -> String {
        let name = format!("work {}", self.spans.fetch_add(1, Ordering::Relaxed));
        let _job = tracing::info_span!("job", lane = "interactive").entered();
        let _span = tracing::info_span!(target: TARGET, "work", otel.name = name).entered();
        tracing::warn!(code = 7, "did {name}");
        name
    }

    /// Value of a count of exports.
    fn count(&self, series: &str) -> u64 {
        let text = self.metrics.render().unwrap();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value
            .unwrap_or_else(|| panic!("no {series} in\n{text}"))
            .parse()
            .unwrap()
    }

    fn exports(&self, signal: &str, outcome: &str) -> u64 {
        self.count(&format!(
            r#"postern_telemetry_exports_total{{outcome="{outcome}",signal="{signal}"}}"#
        ))
    }

    fn dropped(&self, signal: &str, reason: &str) -> u64 {
        self.count(&format!(
            r#"postern_telemetry_dropped_total{{reason="{reason}",signal="{signal}"}}"#
        ))
    }

    /// Waits until an export of each signal had this outcome.
    async fn all_had(&self, outcome: &str) {
        for signal in ["traces", "metrics", "logs"] {
            wait::until_true(&format!("{signal}: {outcome}"), wait::deadline(), async || {
                self.exports(signal, outcome) > 0
            })
            .await;
        }
    }
}

const PROTOCOLS: [OtlpProtocol; 2] = [OtlpProtocol::Grpc, OtlpProtocol::Http];

#[tokio::test]
async fn all_signals_arrive_with_one_resource_and_the_trace_in_the_log() {
    for protocol in PROTOCOLS {
        let receiver = OtlpReceiver::start().await;
        let process = Process::start(&otlp(&receiver.url(), protocol));
        let name = process.work();
        let span = receiver.span("the span", |span| span.span.name == name).await;
        let log = receiver
            .log("the line", |log| log.message() == format!("did {name}"))
            .await;
        let exports = |metric: &testkit::otlp::ReceivedMetric| metric.metric.name == "postern.telemetry.exports";
        let metric = receiver.metric("a metric", exports).await;
        for (key, value) in [
            ("service.name", "postern-test"),
            ("service.instance.id", "node-1"),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("k8s.pod.name", "pod-1"),
        ] {
            assert_eq!(span.resource[key], value, "{protocol:?}");
        }
        assert_eq!(span.resource, log.resource, "{protocol:?}");
        assert_eq!(span.resource, metric.resource, "{protocol:?}");
        assert_eq!(log.trace_id(), span.trace_id());
        assert_eq!(log.record.severity_text, "WARN");
        let attributes = log.attributes();
        assert_eq!(
            (attributes["code"].as_str(), attributes["lane"].as_str()),
            ("7", "interactive")
        );
    }
}

#[tokio::test]
async fn spans_have_the_pseudonym_of_a_user_with_a_key_alone() {
    let key = || UserPseudonyms::new(Secret::new("0123456789abcdef0123456789abcdef")).unwrap();
    for (users, expected) in [(None, None), (Some(key()), Some("92ef84ee11826ff0b8557559204be6b5"))] {
        let receiver = OtlpReceiver::start().await;
        let mut settings = settings_of(&otlp(&receiver.url(), OtlpProtocol::Grpc));
        settings.traces.as_mut().unwrap().dangerous_users = users;
        let process = Process::of(settings);
        tracing::info_span!(target: TARGET, "job").in_scope(|| trace::set_user(&Span::current(), "GEN-001"));
        // Neither an entered span of the log nor a line is changed by the layer of the key.
        assert!(!tracing::enabled!(tracing::Level::DEBUG));
        let span = receiver.span("the span", |span| span.span.name == "job").await;
        assert_eq!(span.attributes().get("enduser.pseudo.id").map(String::as_str), expected);
        assert!(!receiver.received().text().contains("GEN-001"));
        drop(process);
    }
    assert!(UserPseudonyms::new(Secret::new("0123456789abcdef0123456789abcde")).is_err());
}

#[tokio::test]
async fn headers_and_compression_are_those_of_the_settings() {
    for protocol in PROTOCOLS {
        let receiver = OtlpReceiver::start().await;
        let mut settings = otlp(&receiver.url(), protocol);
        settings.gzip = true;
        let name = HeaderName::from_static("x-tenant");
        settings.headers.insert(name, HeaderValue::from_static("blue"));
        let process = Process::start(&settings);
        let name = process.work();
        receiver.span("the span", |span| span.span.name == name).await;
        receiver
            .log("the line", |log| log.message() == format!("did {name}"))
            .await;
        receiver.metric("a metric", |_| true).await;
        let encoding = match protocol {
            OtlpProtocol::Grpc => "grpc-encoding",
            OtlpProtocol::Http => "content-encoding",
        };
        for request in receiver.received().requests {
            assert_eq!(request.headers["x-tenant"], "blue", "{}", request.path);
            assert_eq!(request.headers[encoding], "gzip", "{}", request.path);
        }
    }
}

#[tokio::test]
async fn tls_trusts_the_given_authority_and_presents_the_given_certificate() {
    let (servers, clients, others) = (Authority::new(), Authority::new(), Authority::new());
    let pem = |authority: &Authority| std::fs::read_to_string(authority.pem_path()).unwrap();
    let identity = clients.issue();
    let identity = Some((identity.certificate, Secret::new(identity.key)));
    for protocol in PROTOCOLS {
        let receiver = OtlpReceiver::start_tls(&servers, Some(&clients)).await;
        let mut settings = otlp(&receiver.url(), protocol);
        for (authority, identity) in [(&others, identity.clone()), (&servers, None)] {
            settings.tls = Some(OtlpTls::new(Some(&pem(authority)), identity).unwrap());
            let process = Process::start(&settings);
            process.work();
            process.all_had("failed").await;
            assert!(receiver.received().requests.is_empty(), "{protocol:?}");
        }
        settings.tls = Some(OtlpTls::new(Some(&pem(&servers)), identity.clone()).unwrap());
        let process = Process::start(&settings);
        let name = process.work();
        receiver.span("the span", |span| span.span.name == name).await;
        process.all_had("ok").await;
    }
}

#[tokio::test]
async fn collector_that_refuses_is_counted_and_served_again_when_it_accepts() {
    for protocol in PROTOCOLS {
        let receiver = OtlpReceiver::start().await;
        receiver.answers(401);
        let process = Process::start(&otlp(&receiver.url(), protocol));
        process.work();
        process.all_had("failed").await;
        assert_eq!(process.dropped("traces", "failed"), 1, "{protocol:?}");
        receiver.answers(200);
        let name = process.work();
        receiver.span("the span", |span| span.span.name == name).await;
        process.all_had("ok").await;
    }
}

#[tokio::test]
async fn collector_that_hangs_takes_no_time_of_the_process_and_is_served_again_when_it_answers() {
    for protocol in PROTOCOLS {
        let receiver = OtlpReceiver::start().await;
        let proxy = Proxy::start(receiver.addr()).await;
        proxy.freeze();
        let process = Process::start(&otlp(&format!("http://{}", proxy.addr()), protocol));
        // Nothing here waits, or this task would not get to the end: the exporters share its thread.
        for _ in 0..1_000 {
            process.work();
        }
        for signal in ["traces", "logs"] {
            assert_eq!(process.dropped(signal, "queue_full"), 992, "{protocol:?} {signal}");
            assert_eq!(process.exports(signal, "ok"), 0, "{protocol:?} {signal}");
        }
        wait::until_true("a timeout", wait::deadline(), async || {
            process.exports("traces", "timeout") + process.exports("traces", "failed") > 0
        })
        .await;
        proxy.thaw();
        wait::until_true("an export", wait::deadline(), async || {
            process.work();
            process.exports("traces", "ok") > 0 && process.exports("logs", "ok") > 0
        })
        .await;
        process.all_had("ok").await;
    }
}

#[tokio::test]
async fn collector_that_dies_is_counted_and_served_again_when_it_is_back() {
    for protocol in PROTOCOLS {
        let receiver = OtlpReceiver::start().await;
        let proxy = Proxy::start(receiver.addr()).await;
        let process = Process::start(&otlp(&format!("http://{}", proxy.addr()), protocol));
        let before = process.work();
        receiver.span("a span", |span| span.span.name == before).await;
        process.all_had("ok").await;
        proxy.refuse(true);
        proxy.cut();
        process.work();
        process.all_had("failed").await;
        proxy.refuse(false);
        let after = process.work();
        receiver.span("a span", |span| span.span.name == after).await;
    }
}

#[tokio::test]
async fn drain_exports_what_is_left_and_the_last_values_of_the_metrics() {
    let receiver = OtlpReceiver::start().await;
    let process = Process::start(&otlp(&receiver.url(), OtlpProtocol::Grpc));
    let counter = process.metrics.meter().u64_counter("postern.test.ended").build();
    let name = process.work();
    counter.add(42, &[]);
    // A node ends before its exporters.
    drop((counter, process.metrics));
    let report = process.tasks.drain(wait::deadline()).await;
    assert!(report.is_clean(), "{report}");
    let received = receiver.received();
    assert!(received.spans.iter().any(|span| span.span.name == name));
    assert!(received.logs.iter().any(|log| log.message() == format!("did {name}")));
    let values: Vec<_> = received
        .metrics
        .iter()
        .filter(|metric| metric.metric.name == "postern.test.ended")
        .collect();
    assert_eq!(values.last().unwrap().points()[0].1, 42.0);
}

#[test]
fn pem_that_is_none_is_refused_by_its_part() {
    let authority = Authority::new();
    let (one, other) = (authority.issue(), authority.issue());
    let refused = |authorities: Option<&str>, identity: Option<(&str, &str)>| {
        let identity = identity.map(|(certificate, key)| (certificate.to_owned(), Secret::new(key)));
        OtlpTls::new(authorities, identity).err()
    };
    assert_eq!(refused(Some("none"), None), Some(OtlpTlsError::Authorities));
    assert_eq!(refused(Some(&one.key), None), Some(OtlpTlsError::Authorities));
    assert_eq!(refused(None, Some(("none", &one.key))), Some(OtlpTlsError::Certificate));
    assert_eq!(refused(None, Some((&one.certificate, "none"))), Some(OtlpTlsError::Key));
    assert_eq!(
        refused(None, Some((&one.certificate, &other.key))),
        Some(OtlpTlsError::Pair)
    );
    assert_eq!(
        refused(Some(&one.certificate), Some((&one.certificate, &one.key))),
        None
    );
}
