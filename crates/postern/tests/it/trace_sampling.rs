//! Sampling of the traces of a cluster, against clients that ask for theirs.

use serde_json::json;
use testkit::client::http::{Request, plain};
use testkit::cluster::Cluster;
use testkit::otlp::OtlpReceiver;
use testkit::{Native, SocketIo};

use crate::stage::POSTERN;

/// Cluster that exports to this receiver the traces that their callers have sampled, and no other.
async fn cluster(receiver: &OtlpReceiver, client_context: &str) -> Cluster {
    let builder = Cluster::builder(POSTERN)
        .gateways(1)
        .env("OTEL_TRACES_EXPORTER", "otlp")
        .env("OTEL_METRICS_EXPORTER", "none")
        .env("OTEL_LOGS_EXPORTER", "none")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url())
        .env("OTEL_TRACES_SAMPLER", "parentbased_always_off")
        .env("OTEL_BSP_SCHEDULE_DELAY", "100");
    builder
        .gateway_env("POSTERN_TRACE_CLIENT_CONTEXT", client_context)
        .gateway_env("POSTERN_TRACE_DELIVERY_RATIO", "1")
        .start()
        .await
}

/// Context of a trace with this id, with the flag `sampled`.
fn sampled(trace: u128) -> String {
    format!("00-{trace:032x}-00f067aa0ba902b7-01")
}

/// Calls the internal API in this trace.
async fn call(cluster: &Cluster, trace: u128) {
    let list = Request::get("/v1/users/GEN-001/connections")
        .bearer(cluster.internal_token())
        .header("traceparent", &sampled(trace));
    let response = plain(cluster.gateway(0).internal_addr(), &list).await.unwrap();
    assert_eq!(response.status, 200, "{}", response.text());
}

#[tokio::test]
async fn client_that_asks_for_every_trace_gets_none_where_its_context_is_linked() {
    let receiver = OtlpReceiver::start().await;
    let cluster = cluster(&receiver, "link").await;
    let native = Native::connect(&cluster.endpoint(0), &cluster.token("GEN-001"))
        .await
        .unwrap();
    let socketio = SocketIo::connect(&cluster.endpoint(0), &cluster.token("GEN-001"))
        .await
        .unwrap();
    // A ratio sampler decides by the lower half of the trace id, which is zero for the first ones.
    for trace in (1..=10).map(|number: u128| number << 64).chain(1..=10) {
        let command = json!({ "userId": "GEN-001", "traceparent": sampled(trace) });
        let answer = native.request("account:list", command.clone()).await;
        assert_eq!(answer.data["success"], true, "{}", answer.data);
        let ack = socketio.emit_with_ack("account:list", command).await;
        assert_eq!(ack["success"], true, "{ack}");
    }
    let webhook = Request::new("POST", "/webhooks/github").header("traceparent", &sampled(11));
    cluster.endpoint(0).http(&webhook.body("{}")).await.unwrap();
    let refused = Request::get("/v1/users/GEN-001/connections")
        .bearer("a guess")
        .header("traceparent", &sampled(12));
    plain(cluster.gateway(0).internal_addr(), &refused).await.unwrap();

    // The caller of the internal API is trusted with the decision, and its spans are exported after those of the client.
    let trusted = 0x7a11;
    call(&cluster, trusted).await;
    let trusted = format!("{trusted:032x}");
    receiver
        .span("the trace of the internal API", |span| span.trace_id() == trusted)
        .await;
    let mut others = receiver.received().spans;
    others.retain(|span| span.trace_id() != trusted);
    assert!(others.is_empty(), "{others:#?}");
}

#[tokio::test]
async fn client_whose_context_is_the_parent_decides_on_sampling_in_gateway_and_worker() {
    let receiver = OtlpReceiver::start().await;
    let cluster = cluster(&receiver, "parent").await;
    let native = Native::connect(&cluster.endpoint(0), &cluster.token("GEN-001"))
        .await
        .unwrap();
    native.request("account:list", json!({ "userId": "GEN-001" })).await;
    let settings = json!({ "sessionTimeout": 45 });
    let command = json!({ "userId": "GEN-001", "settings": settings, "traceparent": sampled(1) });
    let answer = native.request("security:update_settings", command).await;
    assert_eq!(answer.data["success"], true, "{}", answer.data);

    let trace = format!("{:032x}", 1);
    for service in ["postern-gateway", "postern-worker"] {
        receiver
            .span(service, |span| {
                span.trace_id() == trace && span.resource.get("service.name").is_some_and(|name| name == service)
            })
            .await;
    }
    let delivery = receiver
        .span("the delivery", |span| {
            span.span.name == "deliver security:settings_updated"
        })
        .await;
    let linked: Vec<_> = delivery.links().into_iter().map(|(linked, _span)| linked).collect();
    assert_eq!(linked, [trace.as_str()]);
    let mut others = receiver.received().spans;
    others.retain(|span| span.trace_id() != trace && span.trace_id() != delivery.trace_id());
    assert!(others.is_empty(), "{others:#?}");

    let audited = format!("SELECT user_id FROM audit WHERE trace_id = '{trace}'");
    assert_eq!(cluster.schema().sql(&audited).await, ["GEN-001"]);
}
