//! Which tokens prove a caller, at which moment.

use std::time::{Duration, UNIX_EPOCH};

use protocol::secret::Secret;
use serde_json::{Value, json};
use testkit::token::{Signer, algorithm_confusion, unsigned, with_altered_signature};

use super::*;

/// The moment of all these tests, in seconds since 1970.
const NOW: i64 = 1_795_451_460;

fn tokens(key: TokenKey) -> Tokens {
    demanding(key, None, None)
}

fn demanding(key: TokenKey, issuer: Option<&str>, audience: Option<&str>) -> Tokens {
    Tokens {
        keys: Keys::Fixed(key),
        issuer: issuer.map(str::to_owned),
        audience: audience.map(str::to_owned),
        limits: TokenLimits::default(),
    }
}

fn shared(signer: &Signer) -> Tokens {
    tokens(TokenKey::hs256(&Secret::new(signer.verifier())).unwrap())
}

fn public(signer: &Signer) -> Tokens {
    tokens(TokenKey::public_pem(signer.verifier()).unwrap())
}

fn verify(tokens: &Tokens, token: &str) -> Result<Identity, Refused> {
    tokens.verify(token, UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs()))
}

/// Good claims, but for these.
fn claims(changes: &Value) -> Value {
    let mut claims = json!({ "sub": "GEN-001", "exp": NOW + 60 });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

#[test]
fn a_good_token_proves_user_and_session_under_every_kind_of_key() {
    let pairs = [
        (Signer::hs256(), shared as fn(&Signer) -> Tokens),
        (Signer::rs256(), public),
        (Signer::es256(), public),
        (Signer::eddsa(), public),
    ];
    for (signer, tokens) in pairs {
        let tokens = tokens(&signer);
        let identity = verify(&tokens, &signer.sign(&claims(&json!({})))).unwrap();
        assert_eq!(identity.user.as_str(), "GEN-001");
        assert_eq!(identity.session.as_str(), "default");
        assert_eq!(identity.expires.as_secs(), NOW + 60);
        let altered = with_altered_signature(&signer.sign(&claims(&json!({}))));
        assert_eq!(verify(&tokens, &altered), Err(Refused::Signature), "{signer:?}");
    }
}

#[test]
fn what_a_token_says_beside_its_subject_is_kept() {
    let signer = Signer::hs256();
    let token = signer.sign(&claims(
        &json!({ "sid": "s-1", "iat": 1_795_451_454.5, "auth_time": NOW - 9 }),
    ));
    let identity = verify(&shared(&signer), &token).unwrap();
    assert_eq!(identity.session.as_str(), "s-1");
    assert_eq!(identity.issued.map(Timestamp::as_millis), Some(NOW * 1_000 - 5_500));
    assert_eq!(identity.authenticated.map(Timestamp::as_secs), Some(NOW - 9));
}

#[test]
fn what_can_be_meant_in_one_way_only_is_read() {
    let signer = Signer::hs256();
    let tokens = shared(&signer);
    let read = |changes: Value| verify(&tokens, &signer.sign(&claims(&changes))).unwrap();
    for sid in [json!(4_711), json!(4711.0), json!("4711")] {
        assert_eq!(read(json!({ "sid": sid })).session.as_str(), "4711", "{sid}");
    }
    for time in [
        json!(NOW - 9),
        json!(format!("{}", NOW - 9)),
        json!(format!("{}.0", NOW - 9)),
    ] {
        let times = read(json!({ "auth_time": time, "iat": time, "nbf": time }));
        assert_eq!(times.authenticated.map(Timestamp::as_secs), Some(NOW - 9), "{time}");
        assert_eq!(times.issued.map(Timestamp::as_secs), Some(NOW - 9), "{time}");
    }
    for exp in [json!(format!("{}", NOW + 5)), json!(5.25 + NOW as f64)] {
        assert_eq!(read(json!({ "exp": exp })).expires.as_secs(), NOW + 5, "{exp}");
    }
    // What is not looked at may be anything.
    let odd =
        json!({ "iss": 7, "aud": [7, { "a": 1 }], "sid": null, "auth_time": null, "azp": [], "roles": { "x": [1] } });
    assert_eq!(read(odd).session.as_str(), "default");
}

#[test]
fn an_end_has_no_leeway_and_a_beginning_has_a_minute() {
    let signer = Signer::hs256();
    let tokens = shared(&signer);
    let outcome = |changes: Value| verify(&tokens, &signer.sign(&claims(&changes))).map(|_| ());
    assert_eq!(outcome(json!({ "exp": NOW + 1 })), Ok(()));
    assert_eq!(outcome(json!({ "exp": NOW })), Err(Refused::Expired));
    for early in ["nbf", "iat", "auth_time"] {
        assert_eq!(outcome(json!({ early: NOW + 60 })), Ok(()));
        assert_eq!(outcome(json!({ early: NOW + 61 })), Err(Refused::Early));
    }
}

#[test]
fn a_subject_must_be_an_id() {
    let signer = Signer::hs256();
    let tokens = shared(&signer);
    for changes in [
        json!({ "sub": null }),
        json!({ "sub": "" }),
        json!({ "sub": "caf\u{e9}" }),
        json!({ "sub": "x".repeat(129) }),
        json!({ "sid": "" }),
        json!({ "sid": "line\nbreak" }),
    ] {
        let outcome = verify(&tokens, &signer.sign(&claims(&changes)));
        assert_eq!(outcome, Err(Refused::Subject), "{changes}");
    }
}

#[test]
fn a_claim_of_a_wrong_type_is_refused_by_its_name() {
    let signer = Signer::hs256();
    let tokens = shared(&signer);
    let outcome = |changes: &Value| verify(&tokens, &signer.sign(&claims(changes))).map(|_| ());
    for claim in [
        json!({ "sub": 7 }),
        json!({ "sid": 0.5 }),
        json!({ "sid": 1e300 }),
        json!({ "sid": true }),
        json!({ "sid": { "id": 1 } }),
    ] {
        assert_eq!(outcome(&claim), Err(Refused::Subject), "{claim}");
    }
    for claim in [
        json!({ "exp": null }),
        json!({ "exp": "" }),
        json!({ "exp": "never" }),
        json!({ "exp": "inf" }),
        json!({ "exp": "1e12" }),
        json!({ "exp": "2026-11-23T16:31:00Z" }),
        json!({ "nbf": "now" }),
        json!({ "iat": true }),
        json!({ "auth_time": {} }),
    ] {
        assert_eq!(outcome(&claim), Err(Refused::Times), "{claim}");
    }
    // The library that checks the signature looks at these itself, and takes no list for one of them.
    for claim in [json!({ "sub": ["GEN-001"] }), json!({ "exp": [NOW + 60] })] {
        assert_eq!(outcome(&claim), Err(Refused::Malformed), "{claim}");
    }
    let demanding = demanding(
        TokenKey::hs256(&Secret::new(signer.verifier())).unwrap(),
        Some("7"),
        Some("7"),
    );
    let outcome = |changes: &Value| verify(&demanding, &signer.sign(&claims(changes))).map(|_| ());
    assert_eq!(outcome(&json!({ "iss": 7, "aud": "7" })), Err(Refused::Issuer));
    for aud in [json!(7), json!([7]), json!({ "7": "7" }), json!([])] {
        assert_eq!(
            outcome(&json!({ "iss": "7", "aud": aud })),
            Err(Refused::Audience),
            "{aud}"
        );
    }
    assert_eq!(outcome(&json!({ "iss": "7", "aud": [7, "7"] })), Ok(()));
}

#[test]
fn an_end_further_ahead_than_the_longest_lifetime_is_refused() {
    let signer = Signer::hs256();
    let mut tokens = shared(&signer);
    let outcome =
        |tokens: &Tokens, exp: Value| verify(tokens, &signer.sign(&claims(&json!({ "exp": exp })))).map(|_| ());
    let month = 31 * 24 * 60 * 60;
    assert_eq!(outcome(&tokens, json!(NOW + month)), Ok(()));
    // A minute for clocks that differ.
    assert_eq!(outcome(&tokens, json!(NOW + month + 60)), Ok(()));
    for far in [
        json!(NOW + month + 61),
        json!((NOW + 60) * 1_000),
        json!(format!("{}", (NOW + 60) * 1_000)),
        json!(9.9e99),
        json!(u64::MAX),
    ] {
        assert_eq!(outcome(&tokens, far.clone()), Err(Refused::Lifetime), "{far}");
    }
    // The same mistake elsewhere: a sign-in that would never grow old.
    let early = claims(&json!({ "auth_time": (NOW - 60) * 1_000 }));
    assert_eq!(verify(&tokens, &signer.sign(&early)), Err(Refused::Early));

    tokens.limits.max_lifetime = Duration::from_secs(30);
    assert_eq!(outcome(&tokens, json!(NOW + 90)), Ok(()));
    assert_eq!(outcome(&tokens, json!(NOW + 91)), Err(Refused::Lifetime));
}

#[test]
fn nothing_is_told_of_the_claims_of_a_forged_token() {
    let tokens = shared(&Signer::hs256());
    for changes in [
        json!({}),
        json!({ "exp": NOW - 1 }),
        json!({ "exp": NOW * 1_000 }),
        json!({ "sub": 7 }),
    ] {
        let forged = Signer::hs256().sign(&claims(&changes));
        assert_eq!(verify(&tokens, &forged), Err(Refused::Signature), "{changes}");
    }
}

#[test]
fn issuer_and_audience_count_where_they_are_set() {
    let signer = Signer::hs256();
    let key = TokenKey::hs256(&Secret::new(signer.verifier())).unwrap();
    let tokens = demanding(key, Some("https://issuer.example"), Some("postern"));
    let outcome =
        |iss: &str, aud: Value| verify(&tokens, &signer.sign(&claims(&json!({ "iss": iss, "aud": aud })))).map(|_| ());
    let good = "https://issuer.example";
    assert_eq!(outcome(good, json!("postern")), Ok(()));
    assert_eq!(outcome(good, json!(["other", "postern"])), Ok(()));
    assert_eq!(outcome("https://evil.example", json!("postern")), Err(Refused::Issuer));
    assert_eq!(outcome(good, json!("other")), Err(Refused::Audience));
    assert_eq!(outcome(good, Value::Null), Err(Refused::Audience));
    let neither = verify(&tokens, &signer.sign(&claims(&json!({}))));
    assert_eq!(neither, Err(Refused::Issuer));
}

#[test]
fn no_token_chooses_its_algorithm() {
    let rsa = Signer::rs256();
    let tokens = public(&rsa);
    let good = claims(&json!({}));
    assert_eq!(verify(&tokens, &unsigned(&good)), Err(Refused::Malformed));
    let algorithm_confusion = algorithm_confusion(rsa.verifier(), &good);
    assert_eq!(verify(&tokens, &algorithm_confusion), Err(Refused::Algorithm));
    for alg in ["none", "nOnE", "HS256", "RS512", "PS256", "ES256"] {
        let token = rsa.sign_with(&json!({ "alg": alg, "typ": "JWT" }), &good);
        let outcome = verify(&tokens, &token);
        assert!(
            matches!(outcome, Err(Refused::Algorithm | Refused::Malformed)),
            "{alg}: {outcome:?}"
        );
    }
    let secret = Signer::hs256();
    let other = secret.sign_with(&json!({ "alg": "HS512", "typ": "JWT" }), &good);
    assert_eq!(verify(&shared(&secret), &other), Err(Refused::Algorithm));
}

#[test]
fn what_is_critical_and_unknown_is_refused() {
    let signer = Signer::hs256();
    let header = json!({ "alg": "HS256", "crit": ["exp"], "exp": 1 });
    let token = signer.sign_with(&header, &claims(&json!({})));
    assert_eq!(verify(&shared(&signer), &token), Err(Refused::Malformed));
}

#[test]
fn a_token_of_another_kind_gives_no_access() {
    let signer = Signer::hs256();
    let tokens = shared(&signer);
    let outcome = |header: Value, changes: Value| {
        let mut whole = json!({ "alg": "HS256" });
        whole
            .as_object_mut()
            .unwrap()
            .extend(header.as_object().unwrap().clone());
        verify(&tokens, &signer.sign_with(&whole, &claims(&changes))).map(|_| ())
    };
    for kind in [
        "JWT",
        "jwt",
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "application/jwt",
    ] {
        assert_eq!(outcome(json!({ "typ": kind }), json!({})), Ok(()), "{kind}");
    }
    assert_eq!(outcome(json!({}), json!({})), Ok(()));
    for kind in [
        "id_token+jwt",
        "logout+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "rt+jwt",
        "JWE",
        "",
        "at+jwt ",
        "application/",
    ] {
        assert_eq!(
            outcome(json!({ "typ": kind }), json!({})),
            Err(Refused::Kind),
            "{kind:?}"
        );
    }
}

#[test]
fn an_id_token_gives_no_access_where_it_can_be_told() {
    let signer = Signer::hs256();
    let tokens = shared(&signer);
    let outcome = |kind: &str, changes: &Value| {
        let header = json!({ "alg": "HS256", "typ": kind });
        verify(&tokens, &signer.sign_with(&header, &claims(changes))).map(|_| ())
    };
    for claim in [
        json!({ "nonce": "n-0S6_WzA2Mj" }),
        json!({ "at_hash": "77QmUPtjPfzWtF2AnpK9RQ" }),
        json!({ "c_hash": "LDktKdoQak3Pk0cnXxCltA" }),
        json!({ "typ": "ID" }),
        json!({ "token_use": "id" }),
    ] {
        assert_eq!(outcome("JWT", &claim), Err(Refused::Kind), "{claim}");
        assert_eq!(
            outcome("at+jwt", &claim),
            Ok(()),
            "{claim}: its header says that it is an access token"
        );
    }
    for claim in [
        json!({ "typ": "Bearer" }),
        json!({ "token_use": "access" }),
        json!({ "typ": 7 }),
    ] {
        assert_eq!(outcome("JWT", &claim), Ok(()), "{claim}");
    }
}

#[test]
fn what_is_no_token_is_refused_without_a_panic() {
    let tokens = shared(&Signer::hs256());
    assert_eq!(verify(&tokens, ""), Err(Refused::Missing));
    let most = TokenLimits::default().max_bytes;
    assert_eq!(verify(&tokens, &"a".repeat(most + 1)), Err(Refused::TooLarge));
    let long = "a".repeat(most);
    for bad in [
        ".",
        "..",
        "...",
        "a.b.c",
        "\u{0}",
        "e30.e30.",
        &long,
        "\u{e9}.\u{e9}.\u{e9}",
    ] {
        assert_eq!(verify(&tokens, bad), Err(Refused::Malformed), "{bad:?}");
    }
}

#[test]
fn a_weak_or_foreign_key_is_refused_at_the_start() {
    let hs256 = |secret: &str| TokenKey::hs256(&Secret::new(secret)).err();
    assert_eq!(hs256(&"x".repeat(31)), Some(InvalidKey::ShortSecret));
    assert_eq!(hs256(&"x".repeat(32)), None);
    let pem = |pem: &str| TokenKey::public_pem(pem).err();
    for unusable in [
        "",
        "secret",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        P384,
    ] {
        assert_eq!(pem(unusable), Some(InvalidKey::Unusable), "{unusable}");
    }
    assert_eq!(pem(RSA_1024), Some(InvalidKey::ShortRsa));
}

/// A public key on the curve P-384, made for this test.
const P384: &str = "-----BEGIN PUBLIC KEY-----\n\
    MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE9gMqObJ1JkTUOKRkpBM69ZOVq0GrFquU\n\
    AzN7DQ11iJeLZ5SwJ/qmYpZrnBnTxpaZP4TjGHjtZDFsZqqcGKazjC8wCeHVm94/\n\
    9DUrgVkSrwdKuvUkYHPp6ddkJDUZq78W\n\
    -----END PUBLIC KEY-----";

/// A public RSA key of 1024 bits, made for this test.
const RSA_1024: &str = "-----BEGIN PUBLIC KEY-----\n\
    MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDXhIZB4fWaYdq8iByufO9qRyT+\n\
    8F4sOFJtAZYdmTQxHWAKWhWkAQBojdCR3XbwalgYTwZHHV/OpP8m31z90ENCsoOr\n\
    chmGFZoWmhqffgz2Ccx1N0uc66lp48HwwWBPecQaUFeQpXoZTWgDTRwaio6bzvET\n\
    hxRuSscSonQeOSnCzwIDAQAB\n\
    -----END PUBLIC KEY-----";
