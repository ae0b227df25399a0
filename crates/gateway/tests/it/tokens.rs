//! Whoever brings no valid token is told so, with the kind of fault and no more, and nothing else happens.

use std::time::Duration;

use gateway::TokenKey;
use serde_json::{Value, json};
use testkit::client::{Closed, Refused};
use testkit::token::{Signer, algorithm_confusion, claims, expired_claims, now, unsigned, with_altered_signature};
use testkit::{Native, SocketIo, wait};

use crate::house::House;
use crate::worker::Worker;

/// A refused token: what is counted, what its owner is told, and the token.
type Bad = (&'static str, &'static str, String);

/// A gateway with a public key, an issuer and an audience, and every kind of token it must refuse.
async fn refusing() -> (House, Vec<Bad>) {
    let signer = Signer::es256();
    let key = TokenKey::public_pem(signer.verifier()).unwrap();
    let house = House::trusting(signer, key, |settings| {
        settings.tokens.issuer = Some("https://issuer.example".to_owned());
        settings.tokens.audience = Some("postern".to_owned());
    })
    .await;
    let signer = &house.signer;
    let hour = Duration::from_secs(3600);
    let good = |claims: Value| with(claims, json!({ "iss": "https://issuer.example", "aud": "postern" }));
    let but = |more: Value| signer.sign(&with(good(claims("u", hour)), more));
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
        ("token_issuer", "claims", but(json!({ "iss": "https://evil.example" }))),
        ("token_audience", "claims", but(json!({ "aud": "another" }))),
        ("token_subject", "claims", but(json!({ "sub": "" }))),
        ("token_subject", "claims", but(json!({ "sub": 7 }))),
        ("token_kind", "claims", but(json!({ "nonce": "n-1" }))),
        ("token_early", "claims", but(json!({ "nbf": now() + 3600 }))),
        ("token_times", "claims", but(json!({ "exp": null }))),
        (
            "token_lifetime",
            "claims",
            but(json!({ "exp": now() + 32 * 24 * 3600 })),
        ),
        // Milliseconds.
        (
            "token_lifetime",
            "claims",
            but(json!({ "exp": (now() + 3600) * 1_000 })),
        ),
        (
            "token_too_large",
            "too_large",
            but(json!({ "roles": "r".repeat(20_000) })),
        ),
    ];
    (house, tokens)
}

/// What a person is told beside the code and the reason.
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
async fn socketio_is_refused_with_a_code_and_closed() {
    let (house, tokens) = refusing().await;
    for (counted_as, reason, token) in tokens {
        for connect in [SocketIo::to(&house.endpoint), SocketIo::to(&house.endpoint).msgpack()] {
            let counted = house.metric(&refusals(counted_as));
            let client = connect.auth(json!({ "token": token })).connect().await;
            let Err(Refused::Answered { data, .. }) = client else {
                panic!("{counted_as}: {client:?}")
            };
            let words = json!({
                "message": sentence(counted_as),
                "data": { "code": "unauthenticated", "reason": reason },
            });
            assert_eq!(data, words, "{counted_as}");
            house.metric_is(&refusals(counted_as), counted + 1.0).await;
        }
    }
}

#[tokio::test]
async fn a_plain_websocket_is_refused_with_an_error_and_closed() {
    let (house, tokens) = refusing().await;
    for (counted_as, reason, token) in tokens {
        let in_message = Native::to(&house.endpoint).auth(json!({ "token": token }));
        let packed = Native::to(&house.endpoint).msgpack().auth(json!({ "token": token }));
        let mut ways = vec![in_message, packed];
        if !token.is_empty() {
            ways.push(Native::to(&house.endpoint).bearer(&token));
        }
        for way in ways {
            let client = way.connect().await;
            let Err(Refused::Answered { data, closed }) = client else {
                panic!("{counted_as}: {client:?}")
            };
            let words = json!({
                "event": "auth", "error": "unauthenticated", "reason": reason, "message": sentence(counted_as),
            });
            assert_eq!(data, words, "{counted_as}");
            assert_eq!(closed, Some(closed_4401()), "{counted_as}");
        }
    }
}

#[tokio::test]
async fn a_refused_renewal_is_answered_with_its_reason_and_counted_and_the_socket_stays() {
    let (house, tokens) = refusing().await;
    let hour = Duration::from_secs(3600);
    let good = with(
        claims("u", hour),
        json!({ "iss": "https://issuer.example", "aud": "postern" }),
    );
    let socket = SocketIo::connect(&house.endpoint, &house.signer.sign(&good))
        .await
        .unwrap();
    for (counted_as, reason, token) in tokens {
        let kind = counted_as.strip_prefix("token_").unwrap();
        let metric = format!("postern_gateway_token_refusals_total{{entrance=\"refresh\",kind=\"{kind}\"}}");
        let counted = house.metric(&metric);
        let answer = socket.emit_with_ack("auth:refresh", json!({ "token": token })).await;
        let words = json!({
            "success": false, "error": "unauthenticated", "reason": reason, "message": sentence(counted_as),
        });
        assert_eq!(answer, words, "{counted_as}");
        house.metric_is(&metric, counted + 1.0).await;
    }
    assert!(socket.is_open());
}

#[tokio::test]
async fn a_token_older_than_the_end_of_its_idle_session_is_refused_as_expired() {
    let house = House::new().await;
    house.line.let_sessions_idle_out();
    let token = house.token("u");
    let native = Native::connect(&house.endpoint, &token).await;
    let Err(Refused::Answered { data, closed }) = native else {
        panic!("{native:?}")
    };
    assert_eq!(
        (&data["error"], &data["reason"]),
        (&json!("unauthenticated"), &json!("expired")),
        "{data}"
    );
    assert_eq!(closed, Some(closed_4401()));
    let socketio = SocketIo::connect(&house.endpoint, &token).await;
    let Err(Refused::Answered { data, .. }) = socketio else {
        panic!("{socketio:?}")
    };
    assert_eq!(data["data"], json!({ "code": "unauthenticated", "reason": "expired" }));
}

/// Nothing that depends on a secret takes longer for one of them than for another: the algorithm is compared before anything is
/// computed, a public key is no secret, and an HMAC is compared in constant time by its library.
#[tokio::test]
async fn tokens_of_any_other_algorithm_are_refused_in_the_same_words() {
    let signer = Signer::eddsa();
    let key = TokenKey::public_pem(signer.verifier()).unwrap();
    let house = House::trusting(signer, key, |_| {}).await;
    let (signer, rsa) = (&house.signer, Signer::rs256());
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
        let client = Native::connect(&house.endpoint, token).await;
        let Err(Refused::Answered { data, closed }) = client else {
            panic!("case {case}: {client:?}")
        };
        // Whether the key or the algorithm is another one is not told.
        let reason = &data["reason"];
        assert!(reason == "signature" || reason == "malformed", "case {case}: {data}");
        let words = json!({
            "event": "auth", "error": "unauthenticated", "reason": reason, "message": "A valid token is required.",
        });
        assert_eq!((&data, closed), (&words, Some(closed_4401())), "case {case}");
    }
    Native::connect(&house.endpoint, &signer.sign(&good)).await.unwrap();
}

#[tokio::test]
async fn nothing_is_done_for_whoever_has_proven_nothing() {
    let house = House::new().await;
    let worker = Worker::obliging(&house);

    let native = Native::to(&house.endpoint).open().await.unwrap();
    native.emit("account:list", json!({})).await;
    assert_eq!(native.closed().await, closed_4401());

    let socketio = SocketIo::to(&house.endpoint).open().await.unwrap();
    socketio.emit("account:list", json!({})).await;
    assert_eq!(socketio.closed().await.code, 4400, "nothing may come before CONNECT");

    assert_eq!(worker.done(), 0);
    assert!(!house.line.listens_for("u"));
}

#[tokio::test]
async fn an_auth_message_that_cannot_be_read_names_the_field_and_the_next_one_is_taken() {
    let house = House::new().await;
    let token = house.token("u");
    for format in [Native::to(&house.endpoint), Native::to(&house.endpoint).msgpack()] {
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
async fn a_socket_that_proves_nothing_is_closed_at_its_deadline() {
    let house = House::with(|settings| settings.timing.authentication = Duration::from_millis(300)).await;
    let native = Native::to(&house.endpoint).open().await.unwrap();
    let socketio = SocketIo::to(&house.endpoint).open().await.unwrap();
    for socket in [&*native, &*socketio] {
        let closed = Closed {
            code: 4408,
            reason: "timed out".to_owned(),
        };
        assert_eq!(socket.closed().await, closed);
    }
}

#[tokio::test]
async fn a_plain_websocket_learns_who_it_is_and_where_its_events_begin() {
    let house = House::new().await;
    let token = house
        .signer
        .sign(&with(claims("u", Duration::from_secs(60)), json!({ "sid": "s-1" })));
    let first = Native::to(&house.endpoint)
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

    let again = Native::connect(&house.endpoint, &token).await.unwrap().ready();
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
