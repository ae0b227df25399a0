//! Health routes: liveness, the parts of readiness, and the state of dependencies.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use lifecycle::{Dependencies, ManualClock, Readiness};
use serde_json::{Value, json};
use telemetry::health;
use telemetry::metrics::Metrics;
use tower::ServiceExt;

async fn get(router: &Router, path: &str) -> Response<Body> {
    router
        .clone()
        .oneshot(Request::get(path).body(Body::empty()).unwrap())
        .await
        .unwrap()
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn router(readiness: &Readiness, metrics: Metrics) -> Router {
    health::router(readiness.clone(), dependencies(), metrics)
}

fn dependencies() -> Dependencies {
    Dependencies::new(Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH)))
}

#[tokio::test]
async fn readyz_has_one_line_for_each_part_in_the_sequence_of_their_creation() {
    let readiness = Readiness::new();
    let listener = readiness.condition("listener");
    let redis = readiness.latch("redis");
    let router = router(&readiness, Metrics::new("gateway-1"));

    let unready = get(&router, "/readyz").await;
    assert_eq!(unready.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text(unready).await, "listener not ready\nredis not ready\n");

    listener.set(true);
    redis.release();
    let ready = get(&router, "/readyz").await;
    assert_eq!(ready.status(), StatusCode::OK);
    assert_eq!(text(ready).await, "listener ok\nredis ok (at start)\n");

    readiness.drain();
    let draining = get(&router, "/readyz").await;
    assert_eq!(draining.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text(draining).await, "listener ok\nredis ok (at start)\ndraining\n");
}

#[tokio::test]
async fn readyz_without_the_drain_is_200_until_the_listener_closes() {
    let readiness = Readiness::new();
    let listener = readiness.condition("listener");
    let router = router(&readiness, Metrics::new("gateway-1"));
    listener.set(true);
    readiness.drain();
    assert_eq!(get(&router, "/readyz").await.status(), StatusCode::SERVICE_UNAVAILABLE);

    let accepting = get(&router, "/readyz?exclude=draining").await;
    assert_eq!(accepting.status(), StatusCode::OK);
    assert_eq!(text(accepting).await, "listener ok\n");

    listener.set(false);
    let closed = get(&router, "/readyz?exclude=draining").await;
    assert_eq!(closed.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn dependencies_are_reported_with_state_time_and_class_and_never_fail_the_request() {
    let dependencies = dependencies();
    let metrics = Metrics::new("worker-1");
    metrics.watch(dependencies.clone());
    let redis = dependencies.named("redis");
    let _others = (dependencies.named("postgres"), dependencies.on_demand("smtp"));
    redis.succeeded();
    redis.failed("auth", "redis://gate:hunter2@redis: WRONGPASS");

    let router = health::router(Readiness::new(), dependencies, metrics);
    let report = get(&router, "/healthz/dependencies").await;
    assert_eq!(report.status(), StatusCode::OK);
    let report = text(report).await;
    assert!(!report.contains("hunter2"), "{report}");
    let epoch = "1970-01-01T00:00:00.000Z";
    let expected = json!({ "dependencies": [
        { "name": "redis", "state": "down", "since": epoch, "lastError": { "class": "auth", "at": epoch } },
        { "name": "postgres", "state": "waiting", "since": epoch, "lastError": null },
        { "name": "smtp", "state": "unused", "since": epoch, "lastError": null },
    ]});
    assert_eq!(serde_json::from_str::<Value>(&report).unwrap(), expected);

    let scrape = text(get(&router, "/metrics").await).await;
    for name in ["redis", "postgres"] {
        let line = format!("postern_dependency_up{{dependency=\"{name}\"}} 0\n");
        assert!(scrape.contains(&line), "{scrape}");
    }
    assert!(!scrape.contains("dependency=\"smtp\""), "nothing checks it: {scrape}");
}

#[tokio::test]
async fn unready_node_is_live() {
    let readiness = Readiness::new();
    readiness.drain();
    let router = router(&readiness, Metrics::new("gateway-1"));

    let alive = get(&router, "/livez").await;
    assert_eq!(alive.status(), StatusCode::OK);
    assert_eq!(text(alive).await, "ok\n");
}

#[tokio::test]
async fn metrics_have_the_media_type_of_prometheus() {
    let metrics = Metrics::new("gateway-1");
    metrics.meter().u64_counter("postern.test").build().add(3, &[]);
    let router = router(&Readiness::new(), metrics);

    let scrape = get(&router, "/metrics").await;
    assert_eq!(scrape.status(), StatusCode::OK);
    assert_eq!(
        scrape.headers().get(header::CONTENT_TYPE).unwrap(),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert!(text(scrape).await.contains("\npostern_test_total 3\n"));
}
