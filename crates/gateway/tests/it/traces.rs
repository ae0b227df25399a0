//! Trace contexts that clients send with their commands.

use gateway::ClientContext;
use protocol::trace::TraceParent;
use serde_json::{Value, json};
use testkit::{Native, SocketIo};

use crate::test_gateway::TestGateway;
use crate::worker::Worker;

/// Context of a trace that belongs to someone else.
const SENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn list(traceparent: &Value) -> Value {
    json!({ "userId": "u", "traceparent": traceparent })
}

/// Values that are no context, up to what a message holds.
fn invalid() -> Vec<Value> {
    let long = SENT.to_owned() + &"0".repeat(60_000);
    let parts = "-".repeat(60_000);
    let upper = SENT.to_uppercase();
    let newer = SENT.replacen("00", "01", 1);
    let zero = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
    let texts = ["", "x", &long, &parts, &upper, &newer, &zero].map(Value::from);
    let others = [Value::Null, json!(1), json!([SENT]), json!({ "traceparent": SENT })];
    texts.into_iter().chain(others).collect()
}

#[tokio::test]
async fn traceparent_of_a_client_is_neither_an_error_nor_the_trace_of_its_job() {
    let gateway = TestGateway::new().await;
    let worker = Worker::succeeding(&gateway);
    let native = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let socketio = SocketIo::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let sent: TraceParent = SENT.parse().unwrap();
    for value in [json!(SENT)].into_iter().chain(invalid()) {
        let answer = native.request("account:list", list(&value)).await;
        assert_eq!(answer.data["success"], true, "{}", answer.data);
        let ack = socketio.emit_with_ack("account:list", list(&value)).await;
        assert_eq!(ack["success"], true, "{ack}");
    }
    let jobs = worker.jobs();
    assert_eq!(jobs.len(), 2 * (1 + invalid().len()));
    assert!(jobs.iter().all(|job| job.traceparent.trace() != sent.trace()));
    assert!(jobs.iter().all(|job| !job.traceparent.is_sampled()));
}

#[tokio::test]
async fn traceparent_does_not_admit_a_command_for_another_user() {
    for client_context in [ClientContext::Link, ClientContext::Parent] {
        let gateway = TestGateway::with(|settings| settings.traces.client_context = client_context).await;
        let worker = Worker::succeeding(&gateway);
        let native = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
        let command = json!({ "userId": "victim", "traceparent": SENT });
        let answer = native.request("account:list", command).await;
        assert_eq!(answer.data["error"], "forbidden", "{client_context:?}");
        assert_eq!(worker.done(), 0, "{client_context:?}");
    }
}

#[tokio::test]
async fn job_continues_the_trace_of_a_client_whose_context_is_the_parent() {
    let gateway = TestGateway::with(|settings| settings.traces.client_context = ClientContext::Parent).await;
    let worker = Worker::succeeding(&gateway);
    let native = Native::connect(&gateway.endpoint, &gateway.token("u")).await.unwrap();
    let sent: TraceParent = SENT.parse().unwrap();
    native.request("account:list", list(&json!(SENT))).await;
    assert_eq!(worker.last().traceparent.trace(), sent.trace());
    for value in invalid() {
        native.request("account:list", list(&value)).await;
        assert_ne!(worker.last().traceparent.trace(), sent.trace(), "{value}");
    }
}
