//! Headers by which browsers frame, sniff and run nothing of any response.

use testkit::client::http::Request;

use crate::test_gateway::TestGateway;

#[tokio::test]
async fn every_response_forbids_frames_and_sniffing() {
    let gateway = TestGateway::new().await;
    let foreign = |path: &str| Request::upgrade(path).header("Origin", "https://evil.example");
    for request in [
        Request::get("/oauth/callback/github?code=a&state=b"),
        Request::get("/oauth/callback/%3Cscript%3E"),
        Request::new("HEAD", "/oauth/callback/github"),
        Request::new("POST", "/oauth/callback/github").body("token=x"),
        Request::new("PUT", "/oauth/callback/github"),
        Request::new("POST", "/webhooks/github").body("{}"),
        Request::get("/socket.io/?EIO=4&transport=polling"),
        Request::get("/ws"),
        foreign("/ws"),
        foreign("/socket.io/?EIO=4&transport=websocket"),
        Request::get("/"),
        Request::get("/demo"),
    ] {
        let answer = gateway.endpoint.http(&request).await.unwrap();
        assert!(answer.status >= 400, "{request:?}: {}", answer.text());
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{request:?}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{request:?}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none';"), "{request:?}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{request:?}: {policy}");
        assert!(!policy.contains("unsafe"), "{request:?}: {policy}");
        assert!(!answer.text().contains("<script"), "{request:?}: {}", answer.text());
    }
}
