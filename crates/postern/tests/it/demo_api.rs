//! API of the demo of `postern dev`: who may call it, and its effects.

use serde_json::{Value, json};
use testkit::client::http::{Request, Response};
use testkit::client::{Native, SocketIo};
use testkit::cluster::Cluster;
use testkit::wait;

use crate::command_line::Dev;
use crate::stage::POSTERN;

/// Page of the demo, from one of the gateways.
pub(crate) struct Page<'a> {
    pub(crate) dev: &'a Dev,
    /// Origin of the page.
    pub(crate) origin: String,
}

impl<'a> Page<'a> {
    /// Page that the first gateway has served.
    pub(crate) fn open(dev: &'a Dev) -> Self {
        let origin = dev.gateways().swap_remove(0);
        Self { dev, origin }
    }

    /// Calls an endpoint of the demo's API at one of the gateways.
    pub(crate) async fn post(&self, gateway: usize, endpoint: &str, body: &Value) -> Response {
        let request = Request::post(&format!("/demo/api/{endpoint}"), body).header("Origin", &self.origin);
        self.dev.endpoint_at(gateway).http(&request).await.unwrap()
    }

    /// Describes the cluster as one of the gateways sees it.
    pub(crate) async fn cluster(&self, gateway: usize) -> Value {
        let request = Request::get("/demo/api/cluster");
        self.dev.endpoint_at(gateway).http(&request).await.unwrap().json()
    }

    /// Obtains a token of a user and session, for five minutes.
    pub(crate) async fn token(&self, gateway: usize, user: &str, session: &str) -> String {
        let asked = json!({"userId": user, "sessionId": session, "lifetime": 300});
        let issued = self.post(gateway, "token", &asked).await.json();
        issued["token"].as_str().unwrap().to_owned()
    }
}

/// Endpoints that only the page may call, each with a body that it accepts.
fn posts() -> [(&'static str, Value); 4] {
    [
        ("token", json!({"userId": "GEN-001"})),
        ("alert", json!({"userId": "GEN-001"})),
        ("mention", json!({"userId": "GEN-001", "accountType": "telegram"})),
        ("kill", json!({"gateway": 0})),
    ]
}

#[tokio::test]
async fn every_response_of_the_demo_has_the_policy_of_its_page() {
    let dev = Dev::start(&[]).await;
    let page = Page::open(&dev);
    assert_eq!(dev.demo(), format!("{}/demo", page.origin));
    let gateways = dev.gateways();
    let by_name = |url: &str| url.replace("127.0.0.1", "localhost");
    let mut connect = String::new();
    for url in &gateways {
        for url in [url.clone(), by_name(url)] {
            connect.push_str(&format!(" {url} {}", url.replace("https", "wss")));
        }
    }
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: {}; connect-src 'self'{connect}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        dev.simulator()
    );
    let requests = [
        (200, Request::get("/demo")),
        (200, Request::new("HEAD", "/demo")),
        (200, Request::get("/demo/index.html")),
        (200, Request::get("/demo/api/cluster")),
        (403, Request::post("/demo/api/token", &json!({}))),
        (404, Request::get("/demo/nothing.js")),
        (404, Request::get("/demo/../demo")),
        (404, Request::get("/demo/api/nothing")),
        (405, Request::new("DELETE", "/demo")),
        (405, Request::get("/demo/api/kill")),
    ];
    for gateway in 0..2 {
        for (status, request) in &requests {
            let response = dev.endpoint_at(gateway).http(request).await.unwrap();
            assert_eq!(response.status, *status, "{request:?}: {}", response.text());
            for (name, value) in [
                ("content-security-policy", policy.as_str()),
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("referrer-policy", "no-referrer"),
                ("cache-control", "no-store"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"),
                ("access-control-allow-origin", ""),
            ] {
                assert_eq!(response.header(name), value, "{request:?}: {name}");
            }
        }
    }
    let html = dev.endpoint().http(&Request::get("/demo")).await.unwrap();
    assert_eq!(html.header("content-type"), "text/html; charset=utf-8");
    dev.stop().await;
}

#[tokio::test]
async fn only_pages_of_the_gateways_may_call_the_demo() {
    let dev = Dev::start(&[]).await;
    let page = Page::open(&dev);
    let [first, second] = [0, 1].map(|gateway| dev.gateways().swap_remove(gateway));
    let foreign = [
        "https://evil.example".to_owned(),
        "https://127.0.0.1".to_owned(),
        "http://127.0.0.1:3000".to_owned(),
        "null".to_owned(),
        first.replace("https", "http"),
        format!("{first}.evil.example"),
    ];
    for (endpoint, body) in posts() {
        let path = format!("/demo/api/{endpoint}");
        let request = Request::post(&path, &body);
        let mut refused = vec![request.clone()];
        refused.extend(foreign.iter().map(|origin| request.clone().header("Origin", origin)));
        refused.push(
            request
                .header("Origin", &first)
                .header("Origin", "https://evil.example"),
        );
        refused.push(Request::new("OPTIONS", &path).header("Origin", "https://evil.example"));
        refused.push(Request::new("OPTIONS", &path));
        for request in refused {
            let response = dev.endpoint().http(&request).await.unwrap();
            assert_eq!(response.status, 403, "{request:?}");
            assert_eq!(response.json()["error"], "forbidden");
            assert_eq!(response.header("access-control-allow-origin"), "");
        }
        // The page of one gateway calls the other.
        let preflight = Request::new("OPTIONS", &path).header("Origin", &second);
        let preflight = dev.endpoint().http(&preflight).await.unwrap();
        assert_eq!(preflight.status, 204);
        assert_eq!(preflight.header("access-control-allow-origin"), second);
        assert_eq!(preflight.header("access-control-allow-methods"), "POST");
        assert_eq!(preflight.header("access-control-allow-headers"), "content-type");
        assert_eq!(preflight.header("access-control-allow-credentials"), "");
        assert_eq!(preflight.header("vary"), "Origin");
    }
    assert_eq!(
        page.cluster(0).await["gateways"][0]["isRunning"],
        true,
        "nothing was killed"
    );
    let by_name = first.replace("127.0.0.1", "localhost");
    for origin in [first, second, by_name] {
        let page = Page { dev: &dev, origin };
        let issued = page.post(0, "token", &json!({"userId": "GEN-001"})).await;
        assert_eq!(issued.status, 200, "{}", issued.text());
        assert_eq!(issued.header("access-control-allow-origin"), page.origin);
    }
    dev.stop().await;
}

#[tokio::test]
async fn requests_other_than_small_json_posts_of_known_members_are_refused() {
    let dev = Dev::start(&[]).await;
    let page = Page::open(&dev);
    for (endpoint, body) in posts() {
        let path = format!("/demo/api/{endpoint}");
        let of = |method: &str| Request::new(method, &path).header("Origin", &page.origin);
        for method in ["GET", "PUT", "DELETE"] {
            let response = dev.endpoint().http(&of(method)).await.unwrap();
            assert_eq!((response.status, response.header("allow")), (405, "POST"), "{path}");
        }
        for media_type in [
            "application/x-www-form-urlencoded",
            "text/plain",
            "multipart/form-data; boundary=x",
            "",
        ] {
            let request = of("POST").header("Content-Type", media_type).body(body.to_string());
            let response = dev.endpoint().http(&request).await.unwrap();
            assert_eq!(response.status, 415, "{path} {media_type}");
        }
        let large = of("POST")
            .header("Content-Type", "application/json")
            .body(" ".repeat(4_097));
        assert_eq!(dev.endpoint().http(&large).await.unwrap().status, 413, "{path}");
        for body in ["", "{", "[]", "null", r#"{"unknown": 1}"#] {
            let request = of("POST")
                .header("Content-Type", "application/json; charset=utf-8")
                .body(body);
            let response = dev.endpoint().http(&request).await.unwrap();
            assert_eq!(response.status, 400, "{path} {body:?}: {}", response.text());
        }
    }
    for (endpoint, body, member) in [
        ("token", json!({"userId": "GEN-999"}), "userId"),
        ("token", json!({"userId": "GEN-001", "lifetime": 3_601}), "lifetime"),
        ("token", json!({"userId": "GEN-001", "lifetime": 4}), "lifetime"),
        ("token", json!({"userId": "GEN-001", "sessionId": "\n"}), "sessionId"),
        ("alert", json!({"userId": "root"}), "userId"),
        (
            "alert",
            json!({"userId": "GEN-001", "severity": "deafening"}),
            "severity",
        ),
        (
            "mention",
            json!({"userId": "GEN-002 ", "accountType": "github"}),
            "userId",
        ),
        (
            "mention",
            json!({"userId": "GEN-001", "accountType": "myspace"}),
            "accountType",
        ),
        (
            "mention",
            json!({"userId": "GEN-001", "accountType": "github", "text": "x".repeat(501)}),
            "text",
        ),
        ("kill", json!({"gateway": 2}), "gateway"),
        ("kill", json!({"gateway": -1}), "gateway"),
    ] {
        let response = page.post(0, endpoint, &body).await;
        assert_eq!(response.status, 400, "{body}: {}", response.text());
        assert_eq!(response.json()["error"], "bad_request");
        assert!(response.text().contains(member), "{member}: {}", response.text());
    }
    let unlinked = page
        .post(0, "mention", &json!({"userId": "GEN-001", "accountType": "github"}))
        .await;
    assert_eq!(
        (unlinked.status, unlinked.json()["error"].clone()),
        (404, json!("not_connected"))
    );
    dev.stop().await;
}

#[tokio::test]
async fn tokens_of_one_session_sign_in_at_both_gateways_and_an_alert_reaches_both() {
    let dev = Dev::start(&[]).await;
    let page = Page::open(&dev);
    let issued = page.post(0, "token", &json!({"userId": "GEN-002"})).await.json();
    let session = issued["sessionId"].as_str().unwrap();
    assert_eq!(issued["userId"], "GEN-002");
    let other = page.token(1, "GEN-002", session).await;
    let token = issued["token"].as_str().unwrap();
    let first = SocketIo::connect(&dev.endpoint_at(0), token).await.unwrap();
    let second = Native::connect(&dev.endpoint_at(1), &other).await.unwrap();
    let alert = json!({"userId": "GEN-002", "severity": "low", "message": "Out of the demo"});
    let accepted = page.post(1, "alert", &alert).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text());
    for socket in [&*first, &*second] {
        let received = socket.next_event("security:alert").await;
        assert_eq!(received.data["message"], "Out of the demo");
        assert_eq!(received.data["severity"], "low");
        assert_eq!(received.event_id.as_deref(), accepted.json()["eventId"].as_str());
    }
    let sessions = second.request("security:sessions", json!({})).await;
    assert_eq!(
        sessions.data["sessions"].as_array().unwrap().len(),
        1,
        "{}",
        sessions.data
    );
    dev.stop().await;
}

#[tokio::test]
async fn mention_reaches_the_user_through_the_bot_or_the_next_sync() {
    let dev = Dev::start(&[]).await;
    let page = Page::open(&dev);
    let client = SocketIo::connect(&dev.endpoint(), &page.token(0, "GEN-001", "tab").await)
        .await
        .unwrap();
    for (platform, arrives) in [("telegram", "bot"), ("github", "sync")] {
        let link = json!({"userId": "GEN-001", "accountType": platform, "oauthCode": "test_code_ada",
            "redirectUri": "http://localhost:3000/callback"});
        let linked = client.emit_with_ack("account:connect", link).await;
        assert_eq!(linked["success"], true, "{linked}");
        let text = format!("Have a look at {platform}");
        let mention = json!({"userId": "GEN-001", "accountType": platform, "text": text});
        let sent = page.post(1, "mention", &mention).await;
        assert_eq!(sent.status, 202, "{}", sent.text());
        assert_eq!(
            sent.json(),
            json!({"accountType": platform, "username": "ada", "arrives": arrives})
        );
        if arrives == "sync" {
            let synced = client
                .emit_with_ack("account:sync", json!({"userId": "GEN-001", "accountType": platform}))
                .await;
            assert_eq!(synced["success"], true, "{synced}");
        }
        let incoming = client
            .next_event_within("notification:incoming", 2 * wait::deadline())
            .await;
        assert_eq!(incoming.data["platform"], platform, "{}", incoming.data);
        assert!(incoming.data.to_string().contains(&text), "{}", incoming.data);
    }
    dev.stop().await;
}

#[tokio::test]
async fn gateway_of_a_deployment_has_no_demo() {
    let cluster = Cluster::builder(POSTERN).start().await;
    let origin = format!("https://{}", cluster.gateway(0).addr());
    let mut requests = vec![
        Request::get("/demo"),
        Request::get("/demo/"),
        Request::get("/demo/index.html"),
    ];
    requests.push(Request::get("/demo/api/cluster"));
    for (endpoint, body) in posts() {
        requests.push(Request::post(&format!("/demo/api/{endpoint}"), &body).header("Origin", &origin));
    }
    for request in requests {
        let response = cluster.endpoint(0).http(&request).await.unwrap();
        assert_eq!(response.status, 404, "{request:?}");
        assert_eq!(response.json()["message"], "There is nothing here.", "{request:?}");
    }
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}
