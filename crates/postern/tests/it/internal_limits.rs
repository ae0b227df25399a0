//! Limits of the internal API: floods by one caller, guessed tokens, hostile requests.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::client::http::{KeptAlive, Request, Response, plain};
use testkit::cluster::Cluster;
use testkit::token::random_text;
use tokio::time::Instant;

use crate::internal_tokens::{TokensFile, entry};

const PATH: &str = "/v1/users/GEN-001/connections";

fn list(token: &str) -> Request {
    Request::get(PATH).bearer(token)
}

/// Entry of a caller that may list connections and publish.
fn caller(name: &str, token: &str) -> Value {
    entry(name, &["read_connections", "publish_events"], token)
}

/// Fails unless the response is a refusal of a caller above its limit.
fn assert_limited(response: &Response) {
    let problem = response.json();
    assert_eq!(
        (response.status, &problem["error"]),
        (429, &json!("rate_limited")),
        "{problem}"
    );
    assert_eq!(response.header("content-type"), "application/problem+json");
    assert_eq!(problem["status"], 429);
    assert_eq!(problem["type"], "urn:postern:problem:rate_limited");
    assert_eq!(problem["detail"], problem["message"]);
    assert_eq!(response.header("retry-after"), problem["retryAfter"].to_string());
    assert!(problem["retryAfter"].as_u64().unwrap() >= 1);
}

async fn refusals(cluster: &Cluster, reason: &str) -> u64 {
    let metrics = cluster.gateway(0).metrics().await;
    let series = format!(r#"postern_gateway_internal_refusals_total{{reason="{reason}"}} "#);
    let value = metrics.lines().find_map(|line| line.strip_prefix(&series));
    value.map_or(0, |value| value.parse().unwrap())
}

#[tokio::test]
async fn flooding_caller_is_limited_and_another_is_served() {
    let [hot, calm] = [random_text(), random_text()];
    let mut limited = caller("hot", &hot);
    limited["requests_per_second"] = json!(10);
    let file = TokensFile::new(&json!([limited, caller("calm", &calm)]));
    let cluster = file.cluster(0).await;
    cluster.canary(&hot);
    cluster.canary(&calm);
    let at = cluster.gateway(0).internal_addr();
    let flood = async |_| {
        let mut connection = KeptAlive::connect(at).await.unwrap();
        let mut responses = Vec::new();
        for _ in 0..40 {
            responses.push(connection.send(&list(&hot)).await.unwrap());
        }
        responses
    };
    let others = async {
        let mut connection = KeptAlive::connect(at).await.unwrap();
        for _ in 0..100 {
            let response = connection.send(&list(&calm)).await.unwrap();
            assert_eq!(response.status, 200, "{}", response.text());
        }
    };
    let (floods, ()) = tokio::join!(join_all((0..8).map(flood)), others);
    let (served, refused): (Vec<_>, Vec<_>) = floods
        .into_iter()
        .flatten()
        .partition(|response| response.status == 200);
    assert!(served.len() >= 10, "{}", served.len());
    assert!(!refused.is_empty(), "320 requests at once are above 10 a second");
    refused.iter().for_each(assert_limited);
    assert_eq!(refusals(&cluster, "caller_rate").await, refused.len() as u64);
    let logs = cluster.gateway(0).logs();
    let lines: Vec<_> = logs.lines().filter(|line| line.contains("caller_rate")).collect();
    assert!(lines.iter().all(|line| line.contains("hot")), "{lines:#?}");
    assert!(
        (1..=refused.len() / 2).contains(&lines.len()) || refused.len() < 20,
        "{lines:#?}"
    );
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn batch_above_the_limit_is_refused_whole() {
    let mut limited = caller("batches", "t");
    limited["requests_per_second"] = json!(20);
    let cluster = TokensFile::new(&json!([limited])).cluster(1).await;
    let at = cluster.gateway(0).internal_addr();
    let data = json!({"accountType": "github", "status": "error"});
    let event = json!({"userId": "GEN-001", "event": "account:status_changed", "data": data});
    let batch = Request::post("/v1/events", &json!({ "events": vec![&event; 20] })).bearer("t");
    let (started, mut accepted) = (Instant::now(), 0);
    // The first may wait for the restore of the event log, and the next is admitted then.
    let refused = loop {
        let response = plain(at, &batch).await.unwrap();
        if response.status != 200 {
            break response;
        }
        accepted += 20;
        assert!(accepted < 2_000, "batches are not limited");
    };
    // Each event counts, not each request.
    let most = 20.0 + 20.0 * started.elapsed().as_secs_f64();
    assert!(
        f64::from(accepted) <= most,
        "{accepted} events where {most} are admitted"
    );
    assert_limited(&refused);
    assert!(accepted > 0, "a batch within the limit is accepted");
    let metrics = cluster.gateway(0).metrics().await;
    let published = format!(r#"postern_gateway_published_total{{event="account:status_changed"}} {accepted}"#);
    assert!(metrics.lines().any(|line| line == published), "{metrics}");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn guessed_tokens_are_limited_by_address_and_a_right_guess_is_not_seen() {
    let server = random_text();
    let others = [0; 5].map(|_| random_text());
    let mut callers = vec![caller("server", &server)];
    callers.extend(
        others
            .iter()
            .zip(0..)
            .map(|(token, number)| caller(&format!("other-{number}"), token)),
    );
    let cluster = TokensFile::new(&json!(callers)).cluster(0).await;
    others.iter().chain([&server]).for_each(|token| cluster.canary(token));
    let at = cluster.gateway(0).internal_addr();
    assert_eq!(plain(at, &list(&server)).await.unwrap().status, 200);

    let attacker = Ipv4Addr::new(127, 0, 0, 2);
    let guess = async |count: usize| {
        let mut connection = from(attacker, at).await;
        let mut limited = 0;
        for number in 0..count {
            let response = connection.send(&list(&format!("guess-{number}"))).await.unwrap();
            assert!([401, 429].contains(&response.status));
            limited += u32::from(response.status == 429);
        }
        limited
    };
    let limited: u32 = join_all([400; 4].map(guess)).await.into_iter().sum();
    assert!(limited > 0, "1,600 guesses at once are above the limit");
    // A guess is right now and then, while the flood keeps the budget of the address empty.
    let right = async {
        let mut refused = 0;
        for token in &others {
            refused += u32::from(plain_from(attacker, at, token).await.status == 429);
        }
        refused
    };
    let (_, refused) = tokio::join!(join_all([400; 4].map(guess)), right);
    assert!(refused > 0, "right guesses are seen");
    // The caller is served at its own address, and another one at a new address.
    assert_eq!(plain(at, &list(&server)).await.unwrap().status, 200);
    let elsewhere = Ipv4Addr::new(127, 0, 0, 3);
    assert_eq!(plain_from(elsewhere, at, &others[0]).await.status, 200);
    assert!(refusals(&cluster, "token_guesses").await >= u64::from(limited));
    assert!(!cluster.logs().contains("guess-"));
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

async fn from(address: Ipv4Addr, at: SocketAddr) -> KeptAlive {
    KeptAlive::connect_from(IpAddr::from(address), at).await.unwrap()
}

async fn plain_from(address: Ipv4Addr, at: SocketAddr, token: &str) -> Response {
    from(address, at).await.send(&list(token)).await.unwrap()
}

#[tokio::test]
async fn hostile_requests_are_refused_and_the_next_one_is_served() {
    let token = random_text();
    let cluster = TokensFile::new(&json!([caller("server", &token)])).cluster(0).await;
    cluster.canary(&token);
    let at = cluster.gateway(0).internal_addr();
    let long = "x".repeat(40_000);
    let cases = [
        (Request::get("/v1/users/%00/connections"), 400),
        (Request::get("/v1/users/%ff/connections"), 400),
        (Request::get("/v1/users/%F0%9F%92%A9/connections"), 400),
        (Request::get("/v1/users/../users/GEN-001/connections"), 404),
        (Request::get("/v1/users/..%2f..%2fGEN-001/connections"), 200),
        (Request::get("/v1/users/{id}/connections"), 200),
        (Request::get(&format!("/v1/users/{}/connections", "u".repeat(129))), 400),
        (Request::get("/v1/users/GEN-001/connections?admin=true"), 400),
        (Request::get("/V1/USERS/GEN-001/CONNECTIONS"), 404),
        (Request::get(PATH).header("X-Long", &long), 431),
        (Request::get(&format!("/v1/{long}")), 431),
        (Request::new("TRACE", PATH), 405),
        (
            Request::post("/v1/users/GEN-001/events", &json!({"event": {"a": [[[]]]}})),
            400,
        ),
    ];
    for (request, status) in cases {
        let response = plain(at, &request.clone().bearer(&token)).await.unwrap();
        assert_eq!(
            response.status,
            status,
            "{}: {}",
            request.bytes().len(),
            response.text()
        );
        if status != 200 && status != 431 {
            assert_eq!(response.header("content-type"), "application/problem+json");
            assert_eq!(response.json()["status"], status);
        }
        assert!(!response.text().contains(&token));
        assert_eq!(plain(at, &list(&token)).await.unwrap().status, 200);
    }
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}
