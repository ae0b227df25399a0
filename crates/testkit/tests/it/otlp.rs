//! Receiver of OTLP by HTTP; exporters of the product test it by gRPC too.

use prost::Message as _;
use testkit::OtlpReceiver;
use testkit::client::http::{Request, plain};
use testkit::otlp::proto::collector::trace::v1::ExportTraceServiceRequest;
use testkit::otlp::proto::common::v1::any_value::Value;
use testkit::otlp::proto::common::v1::{AnyValue, KeyValue};
use testkit::otlp::proto::resource::v1::Resource;
use testkit::otlp::proto::trace::v1::{ResourceSpans, ScopeSpans, Span};

fn export(service: &str, span: &str) -> Request {
    let text = AnyValue {
        value: Some(Value::StringValue(service.to_owned())),
    };
    let attribute = KeyValue {
        key: "service.name".to_owned(),
        value: Some(text),
        ..KeyValue::default()
    };
    let spans = ResourceSpans {
        resource: Some(Resource {
            attributes: vec![attribute],
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            spans: vec![Span {
                name: span.to_owned(),
                trace_id: vec![0xab; 16],
                ..Span::default()
            }],
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![spans],
    };
    Request::new("POST", "/v1/traces")
        .header("Content-Type", "application/x-protobuf")
        .body(request.encode_to_vec())
}

#[tokio::test]
async fn export_is_kept_with_its_resource() {
    let receiver = OtlpReceiver::start().await;
    assert_eq!(
        plain(receiver.addr(), &export("postern-worker", "claim"))
            .await
            .unwrap()
            .status,
        200
    );
    let span = receiver.span("the span", |span| span.span.name == "claim").await;
    assert_eq!(span.resource["service.name"], "postern-worker");
    assert_eq!(span.trace_id(), "ab".repeat(16));
    let request = &receiver.received().requests[0];
    assert_eq!(request.path, "/v1/traces");
    assert_eq!(request.headers["content-type"], "application/x-protobuf");
}

#[tokio::test]
async fn refused_export_is_not_kept() {
    let receiver = OtlpReceiver::start().await;
    receiver.answers(503);
    assert_eq!(
        plain(receiver.addr(), &export("postern-worker", "claim"))
            .await
            .unwrap()
            .status,
        503
    );
    let malformed = export("postern-worker", "claim").body("no protobuf");
    receiver.answers(200);
    assert_eq!(plain(receiver.addr(), &malformed).await.unwrap().status, 400);
    assert!(receiver.received().spans.is_empty());
    assert_eq!(receiver.received().requests.len(), 2);
}
