//! Health routes: liveness, readiness, and the names of what the node waits for.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use lifecycle::Readiness;
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

#[tokio::test]
async fn readyz_lists_closed_gates_until_the_node_is_ready() {
    let readiness = Readiness::new();
    let listener = readiness.latch("listener");
    let redis = readiness.condition("redis");
    let router = health::router(readiness.clone(), Metrics::new("gateway-1"));

    let unready = get(&router, "/readyz").await;
    assert_eq!(unready.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text(unready).await, "waiting for: listener, redis\n");

    listener.release();
    redis.set(true);
    let ready = get(&router, "/readyz").await;
    assert_eq!(ready.status(), StatusCode::OK);
    assert_eq!(text(ready).await, "ready\n");

    readiness.drain();
    let draining = get(&router, "/readyz").await;
    assert_eq!(draining.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text(draining).await, "waiting for: draining\n");
}

#[tokio::test]
async fn unready_node_is_live() {
    let readiness = Readiness::new();
    readiness.drain();
    let router = health::router(readiness, Metrics::new("gateway-1"));

    let alive = get(&router, "/livez").await;
    assert_eq!(alive.status(), StatusCode::OK);
    assert_eq!(text(alive).await, "ok\n");
}

#[tokio::test]
async fn metrics_have_the_media_type_of_prometheus() {
    let metrics = Metrics::new("gateway-1");
    metrics.meter().u64_counter("postern_test_total").build().add(3, &[]);
    let router = health::router(Readiness::new(), metrics);

    let scrape = get(&router, "/metrics").await;
    assert_eq!(scrape.status(), StatusCode::OK);
    assert_eq!(
        scrape.headers().get(header::CONTENT_TYPE).unwrap(),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert!(text(scrape).await.contains("\npostern_test_total 3\n"));
}
