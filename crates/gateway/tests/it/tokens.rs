//! A client with an invalid token gets the kind of fault and no further detail, and nothing is executed for it.

use std::time::Duration;

use gateway::TokenKey;
use serde_json::{Value, json};
use testkit::client::{Closed, Refused};
use testkit::log::Log;
use testkit::token::{Signer, algorithm_confusion, claims, expired_claims, now, unsigned, with_altered_signature};
use testkit::{Native, SocketIo, wait};

use crate::test_gateway::TestGateway;
use crate::worker::Worker;

/// Invalid token: metric label, reason for the client, token.
type InvalidToken = (&'static str, &'static str, String);

/// Starts a gateway with a public key, an issuer and an audience; returns invalid tokens of every kind.
async fn with_invalid_tokens() -> (TestGateway, Vec<InvalidToken>) {
    let signer = Signer::es256();
    let key = TokenKey::public_pem(signer.verifier()).unwrap();
    let gateway = TestGateway::trusting(signer, key, |settings| {
        settings.tokens.issuer = Some("https://issuer.example".to_owned());
        settings.tokens.audience = Some("postern".to_owned());
    })
    .await;
    let signer = &gateway.signer;
    let hour = Duration::from_secs(3600);
    let good = |claims: Value| with(claims, json!({ "iss": "https://issuer.example", "aud": "postern" }));
    let with_claims = |more: Value| signer.sign(&with(good(claims("u", hour)), more));
    let token = signer.sign(&good(claims("u", hour)));
    let tokens = vec![
        ("token_missing", "malformed", String::new()),
        ("token_malformed", "malformed", "not a token".to_owned()),
        ("token_signature", "signature", with_altered_signature(&token)),
        (
            "token_signature",
            "signature",
            Signer::es256().sign(&good(claims("u", hour))),
        ),
        ("token_expired", "expired", signer.sign(&good(expired_claims("u")))),
        ("token_malformed", "malformed", unsigned(&good(claims("u", hour)))),
        (
            "token_algorithm",
            "signature",
            algorithm_confusion(signer.verifier(), &good(claims("u", hour))),
        ),
        (
            "token_issuer",
            "claims",
            with_claims(json!({ "iss": "https://evil.example" })),
        ),
        ("token_audience", "claims", with_claims(json!({ "aud": "another" }))),
        ("token_subject", "claims", with_claims(json!({ "sub": "" }))),
        ("token_subject", "claims", with_claims(json!({ "sub": 7 }))),
        ("token_kind", "claims", with_claims(json!({ "nonce": "n-1" }))),
        ("token_early", "claims", with_claims(json!({ "nbf": now() + 3600 }))),
        ("token_times", "claims", with_claims(json!({ "exp": null }))),
        (
            "token_lifetime",
            "claims",
            with_claims(json!({ "exp": now() + 32 * 24 * 3600 })),
        ),
        // Milliseconds instead of seconds.
        (
            "token_lifetime",
            "claims",
            with_claims(json!({ "exp": (now() + 3600) * 1_000 })),
        ),
        (
            "token_too_large",
            "too_large",
            with_claims(json!({ "roles": "r".repeat(20_000) })),
        ),
    ];
    (gateway, tokens)
}

/// Returns the message in the refusal.
fn sentence(counted: &str) -> &'static str {
    match counted {
        "token_too_large" => "The token is longer than 16384 bytes.",
        "token_lifetime" => {
            "The token's `exp` lies more than 2678400 s ahead (POSTERN_JWT_MAX_LIFETIME); it is in seconds, not milliseconds."
        }
        _ => "A valid token is required.",
    }
}

fn with(mut claims: Value, more: Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

#[tokio::test]
async fn invalid_token_refuses_socketio_connect_with_code() {
    let (gateway, tokens) = with_invalid_tokens().await;
    for (label, reason, token) in tokens {
        for connect in [
            SocketIo::to(&gateway.endpoint),
            SocketIo::to(&gateway.endpoint).msgpack(),
        ] {
            let counted = gateway.metric(&refusals(label));
            let client = connect.auth(json!({ "token": token })).connect().await;
            let Err(Refused::Answered { data, .. }) = client else {
                panic!("{label}: {client:?}")
            };
            let words = json!({
                "message": sentence(label),
                "data": { "code": "unauthenticated", "reason": reason },
            });
            assert_eq!(data, words, "{label}");
            gateway.metric_is(&refusals(label), counted + 1.0).await;
        }
    }
}

#[tokio::test]
async fn invalid_token_refuses_native_auth_with_error_and_closes() {
    let (gateway, tokens) = with_invalid_tokens().await;
    for (label, reason, token) in tokens {
        let in_message = Native::to(&gateway.endpoint).auth(json!({ "token": token }));
        let packed = Native::to(&gateway.endpoint).msgpack().auth(json!({ "token": token }));
        let mut ways = vec![in_message, packed];
        if !token.is_empty() {
            ways.push(Native::to(&gateway.endpoint).bearer(&token));
        }
        for way in ways {
            let client = way.connect().await;
            let Err(Refused::Answered { data, closed }) = client else {
                panic!("{label}: {client:?}")
            };
            let words = json!({
                "event": "auth", "error": "unauthenticated", "reason": reason, "message": sentence(label),
            });
            assert_eq!(data, words, "{label}");
            assert_eq!(closed, Some(closed_4401()), "{label}");
        }
    }
}

#[tokio::test]
async fn refused_refresh_reports_reason_and_keeps_the_socket() {
    let (gateway, tokens) = with_invalid_tokens().await;
    let hour = Duration::from_secs(3600);
    let good = with(
        claims("u", hour),
        json!({ "iss": "https://issuer.example", "aud": "postern" }),
    );
    let socket = SocketIo::connect(&gateway.endpoint, &gateway.signer.sign(&good))
        .await
        .unwrap();
    for (label, reason, token) in tokens {
        let kind = label.strip_prefix("token_").unwrap();
        let metric = format!("postern_gateway_token_refusals_total{{entrance=\"refresh\",kind=\"{kind}\"}}");
        let counted = gateway.metric(&metric);
        let answer = socket.emit_with_ack("auth:refresh", json!({ "token": token })).await;
        let words = json!({
            "success": false, "error": "unauthenticated", "reason": reason, "message": sentence(label),
        });
        assert_eq!(answer, words, "{label}");
        gateway.metric_is(&metric, counted + 1.0).await;
    }
    assert!(socket.is_open());
}

#[tokio::test]
async fn flood_of_refused_tokens_writes_one_line_per_kind_and_the_number_of_the_others() {
    let (log, _guard) = Log::capture();
    let gateway = TestGateway::with(|settings| settings.timing.token_refusals = Duration::from_secs(3_600)).await;
    let expired = gateway.signer.sign(&expired_claims("u"));
    for _ in 0..FLOOD {
        for token in [expired.as_str(), "not a token"] {
            assert!(Native::connect(&gateway.endpoint, token).await.is_err());
        }
    }
    let lines_of = |what: &str, kind: &str| {
        let lines = log.lines(what).into_iter();
        lines
            .filter(|line| line.contains(&format!("kind=\"{kind}\"")))
            .collect::<Vec<_>>()
    };
    for kind in ["expired", "malformed"] {
        assert_eq!(lines_of("token refused", kind).len(), 1, "{kind}");
    }
    gateway.drain(wait::deadline()).await;
    for kind in ["expired", "malformed"] {
        let counted = lines_of("token refusals suppressed", kind);
        assert_eq!(counted.len(), 1, "{kind}");
        assert!(counted[0].contains(&format!("suppressed={}", FLOOD - 1)), "{counted:?}");
    }
    assert_eq!(log.lines("token refus").len(), 4);
    assert!(log.lines(&expired).is_empty(), "no line has a token");
}

#[tokio::test]
async fn token_issued_before_idle_expiry_is_refused_as_expired() {
    let gateway = TestGateway::new().await;
    gateway.bus.expire_unknown_sessions();
    let token = gateway.token("u");
    let native = Native::connect(&gateway.endpoint, &token).await;
    let Err(Refused::Answered { data, closed }) = native else {
        panic!("{native:?}")
    };
    assert_eq!(
        (&data["error"], &data["reason"]),
        (&json!("unauthenticated"), &json!("expired")),
        "{data}"
    );
    assert_eq!(closed, Some(closed_4401()));
    let socketio = SocketIo::connect(&gateway.endpoint, &token).await;
    let Err(Refused::Answered { data, .. }) = socketio else {
        panic!("{socketio:?}")
    };
    assert_eq!(data["data"], json!({ "code": "unauthenticated", "reason": "expired" }));
}

/// The refusals have no timing side channel: the algorithm is compared before any computation, a public key is not secret, and the
/// library compares HMACs in constant time.
#[tokio::test]
async fn tokens_of_other_algorithms_get_identical_refusals() {
    let signer = Signer::eddsa();
    let key = TokenKey::public_pem(signer.verifier()).unwrap();
    let gateway = TestGateway::trusting(signer, key, |_| {}).await;
    let (signer, rsa) = (&gateway.signer, Signer::rs256());
    let good = claims("u", Duration::from_secs(3600));
    let unsigned_as = |alg: &str| {
        let signed = signer.sign_with(&json!({ "alg": alg, "typ": "JWT" }), &good);
        signed.rsplit_once('.').unwrap().0.to_owned() + "."
    };
    let public = Signer::hs256_with(signer.verifier());
    let tokens = [
        unsigned(&good),
        unsigned_as("none"),
        unsigned_as("nOnE"),
        unsigned_as("NONE"),
        unsigned_as("EdDSA"),
        unsigned_as(""),
        algorithm_confusion(signer.verifier(), &good),
        public.sign_with(&json!({ "alg": "EdDSA" }), &good),
        algorithm_confusion(rsa.verifier(), &good),
        rsa.sign(&good),
        rsa.sign_with(&json!({ "alg": "EdDSA" }), &good),
        Signer::es256().sign(&good),
        Signer::eddsa().sign(&good),
        signer.sign_with(&json!({ "alg": "RS256" }), &good),
        signer.sign_with(&json!({ "alg": ["EdDSA"] }), &good),
        signer.sign_with(&json!({}), &good),
    ];
    for (case, token) in tokens.iter().enumerate() {
        let client = Native::connect(&gateway.endpoint, token).await;
        let Err(Refused::Answered { data, closed }) = client else {
            panic!("case {case}: {client:?}")
        };
        // The refusal does not reveal whether the key or the algorithm differs.
        let reason = &data["reason"];
        assert!(reason == "signature" || reason == "malformed", "case {case}: {data}");
        let words = json!({
            "event": "auth", "error": "unauthenticated", "reason": reason, "message": "A valid token is required.",
        });
        assert_eq!((&data, closed), (&words, Some(closed_4401())), "case {case}");
    }
    Native::connect(&gateway.endpoint, &signer.sign(&good)).await.unwrap();
}

#[tokio::test]
async fn unauthenticated_client_can_do_nothing() {
    let gateway = TestGateway::new().await;
    let worker = Worker::succeeding(&gateway);

    let native = Native::to(&gateway.endpoint).open().await.unwrap();
    native.emit("account:list", json!({})).await;
    assert_eq!(native.closed().await, closed_4401());

    let socketio = SocketIo::to(&gateway.endpoint).open().await.unwrap();
    socketio.emit("account:list", json!({})).await;
    assert_eq!(socketio.closed().await.code, 4400, "nothing may come before CONNECT");

    assert_eq!(worker.done(), 0);
    assert!(!gateway.bus.is_subscribed("u"));
}

#[tokio::test]
async fn invalid_auth_message_names_the_field_and_next_one_is_accepted() {
    let gateway = TestGateway::new().await;
    let token = gateway.token("u");
    for format in [Native::to(&gateway.endpoint), Native::to(&gateway.endpoint).msgpack()] {
        let client = format.open().await.unwrap();
        for (data, message) in [
            (json!({ "token": 7 }), "token: a string was expected"),
            (
                json!({ "token": token, "deviceName": 42 }),
                "deviceName: a string was expected",
            ),
            (
                json!({ "token": token, "deviceId": "a\u{0}" }),
                "deviceId: a text without NUL was expected",
            ),
            (
                json!({ "token": token, "batching": "no" }),
                "batching: a boolean was expected",
            ),
            (
                json!({ "token": token, "resume": {} }),
                "resume.resumeToken: this field is required",
            ),
            (json!([token]), "data: an object was expected"),
        ] {
            let answer = client.request("auth", data).await.data;
            assert_eq!(
                (&answer["error"], &answer["message"]),
                (&json!("bad_request"), &json!(message))
            );
        }
        let auth = json!({ "token": token, "deviceName": "My phone" });
        client.send_frame(&json!({ "event": "auth", "data": auth })).await;
        wait::until_true("ready", wait::deadline(), async || !client.ready().is_null()).await;
    }
}

#[tokio::test]
async fn unauthenticated_socket_is_closed_at_its_deadline() {
    let gateway = TestGateway::with(|settings| settings.timing.authentication = Duration::from_millis(300)).await;
    let native = Native::to(&gateway.endpoint).open().await.unwrap();
    let socketio = SocketIo::to(&gateway.endpoint).open().await.unwrap();
    for socket in [&*native, &*socketio] {
        let closed = Closed {
            code: 4408,
            reason: "timed out".to_owned(),
        };
        assert_eq!(socket.closed().await, closed);
    }
}

#[tokio::test]
async fn ready_contains_user_and_offset() {
    let gateway = TestGateway::new().await;
    let token = gateway
        .signer
        .sign(&with(claims("u", Duration::from_secs(60)), json!({ "sid": "s-1" })));
    let first = Native::to(&gateway.endpoint)
        .auth(
            json!({ "token": token, "deviceId": "d", "batching": false, "resume": { "resumeToken": "x", "offset": "y" } }),
        )
        .connect()
        .await
        .unwrap();
    let ready = first.ready();
    assert_eq!((&ready["userId"], &ready["sessionId"]), (&json!("u"), &json!("s-1")));
    assert_eq!(ready["recovered"], false);
    assert!(ready["offset"].as_str().unwrap().ends_with("-0"), "{ready}");
    assert!(
        ready["expiresAt"].as_str().unwrap() > ready["serverTime"].as_str().unwrap(),
        "{ready}"
    );

    let again = Native::connect(&gateway.endpoint, &token).await.unwrap().ready();
    assert_ne!(ready["resumeToken"], again["resumeToken"]);

    first.emit("auth", json!({ "token": token })).await;
    assert_eq!(first.next_event("error").await.data["error"], "bad_request");
    assert!(first.is_open(), "one socket is one caller, but asking costs nothing");
}

fn refusals(reason: &str) -> String {
    format!("postern_gateway_refusals_total{{reason=\"{reason}\"}}")
}

fn closed_4401() -> Closed {
    Closed {
        code: 4401,
        reason: "unauthenticated".to_owned(),
    }
}

const FLOOD: usize = 50;
