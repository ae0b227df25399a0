//! Real Prometheus: targets, rules, queries.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use testkit::Prometheus;
use testkit::prometheus::{Alert, Target};
use testkit::wait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Server whose `/metrics` has one gauge, `depth`.
struct Exporter {
    addr: SocketAddr,
    depth: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Exporter {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let depth = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::clone(&depth)));
        Self {
            addr,
            depth,
            _tasks: tasks,
        }
    }
}

async fn serve(listener: TcpListener, depth: Arc<AtomicU64>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut request = [0; 4096];
        drop(stream.read(&mut request).await);
        let body = format!(
            "# TYPE depth gauge\ndepth{{lane=\"a\"}} {}\n",
            depth.load(Ordering::SeqCst)
        );
        let head = "HTTP/1.1 200 -\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n";
        let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        drop(stream.write_all(answer.as_bytes()).await);
    }
}

const RULES: &str = r"
groups:
  - name: test
    rules:
      - alert: Deep
        expr: max by (lane) (depth) > 5
        for: 1ms
        labels: { severity: page }
      - record: lane:depth:max
        expr: max by (lane) (depth)
";

#[tokio::test]
async fn prometheus_scrapes_evaluates_rules_and_answers_queries() {
    let exporter = Exporter::start().await;
    let target = Target {
        addr: exporter.addr,
        labels: vec![("pod".to_owned(), "one".to_owned())],
    };
    let prometheus = Prometheus::start(&[target], &[RULES.to_owned()], Duration::from_millis(200)).await;
    prometheus.until_scraped().await;
    assert_eq!(prometheus.alerts().await, []);

    exporter.depth.store(7, Ordering::SeqCst);
    let firing = Alert {
        name: "Deep".to_owned(),
        labels: [("lane", "a"), ("severity", "page")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        is_firing: true,
    };
    wait::until_true("the alert to fire", wait::deadline(), async || {
        prometheus.alerts().await == [firing.clone()]
    })
    .await;
    let depth = prometheus.query("depth{pod=\"one\"} + 1").await.unwrap();
    assert_eq!(depth.len(), 1);
    assert_eq!((depth[0].labels["lane"].as_str(), depth[0].value), ("a", 8.0));
    assert_eq!(prometheus.query("1 + 1").await.unwrap()[0].value, 2.0);
    assert_eq!(prometheus.query("absent_metric").await, Ok(vec![]));
    assert!(
        prometheus
            .query("rate(depth)")
            .await
            .unwrap_err()
            .contains("range vector")
    );

    let rules = prometheus.rules().await;
    let rules: Vec<_> = rules.iter().map(|rule| (rule.name.as_str(), rule.is_alert)).collect();
    assert_eq!(rules, [("Deep", true), ("lane:depth:max", false)]);
    let names = prometheus.metric_names().await;
    assert!(names.contains("depth") && names.contains("lane:depth:max"), "{names:?}");

    exporter.depth.store(0, Ordering::SeqCst);
    wait::until_true("the alert to end", wait::deadline(), async || {
        prometheus.alerts().await.is_empty()
    })
    .await;
}
