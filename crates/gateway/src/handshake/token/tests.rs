//! Accepted and refused tokens.

use std::time::{Duration, UNIX_EPOCH};

use protocol::secret::Secret;
use serde_json::{Value, json};
use testkit::token::{Signer, algorithm_confusion, unsigned, with_altered_signature};

use super::*;
use jwks::InvalidKey;

/// Current time of all tests, in seconds since 1970.
const NOW: i64 = 1_795_451_460;

fn tokens(key: TokenKey) -> TokenVerifier {
    expecting(key, None, None)
}

fn expecting(key: TokenKey, issuer: Option<&str>, audience: Option<&str>) -> TokenVerifier {
    TokenVerifier {
        keys: KeySource::Fixed(Reloadable::new(key.into())),
        issuer: issuer.map(str::to_owned),
        audience: audience.map(str::to_owned),
        limits: TokenLimits::default(),
    }
}

fn shared(signer: &Signer) -> TokenVerifier {
    tokens(TokenKey::hs256(&Secret::new(signer.verifier())).unwrap())
}

fn public(signer: &Signer) -> TokenVerifier {
    tokens(TokenKey::public_pem(signer.verifier()).unwrap())
}

fn verify(tokens: &TokenVerifier, token: &str) -> Result<Identity, TokenError> {
    tokens.verify(token, UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs()))
}

/// Valid claims with these changes.
fn claims(changes: &Value) -> Value {
    let mut claims = json!({ "sub": "GEN-001", "exp": NOW + 60 });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

#[test]
fn valid_token_yields_user_and_session_for_every_key_type() {
    let pairs = [
        (Signer::hs256(), shared as fn(&Signer) -> TokenVerifier),
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
        assert_eq!(verify(&tokens, &altered), Err(TokenError::Signature), "{signer:?}");
    }
}

#[test]
fn sid_iat_and_auth_time_are_read() {
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
fn unambiguous_claim_variants_are_accepted() {
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
    // Claims that are not read may have any type.
    let odd =
        json!({ "iss": 7, "aud": [7, { "a": 1 }], "sid": null, "auth_time": null, "azp": [], "roles": { "x": [1] } });
    assert_eq!(read(odd).session.as_str(), "default");
}

#[test]
fn exp_has_no_leeway_and_nbf_iat_auth_time_have_one_minute() {
    let signer = Signer::hs256();
    let tokens = shared(&signer);
    let outcome = |changes: Value| verify(&tokens, &signer.sign(&claims(&changes))).map(|_| ());
    assert_eq!(outcome(json!({ "exp": NOW + 1 })), Ok(()));
    assert_eq!(outcome(json!({ "exp": NOW })), Err(TokenError::Expired));
    for early in ["nbf", "iat", "auth_time"] {
        assert_eq!(outcome(json!({ early: NOW + 60 })), Ok(()));
        assert_eq!(outcome(json!({ early: NOW + 61 })), Err(TokenError::Early));
    }
}

#[test]
fn sub_and_sid_that_are_not_ids_are_refused() {
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
        assert_eq!(outcome, Err(TokenError::Subject), "{changes}");
    }
}

#[test]
fn claim_of_wrong_type_has_its_own_error() {
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
        assert_eq!(outcome(&claim), Err(TokenError::Subject), "{claim}");
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
        assert_eq!(outcome(&claim), Err(TokenError::Times), "{claim}");
    }
    // jsonwebtoken decodes these claims itself and refuses arrays.
    for claim in [json!({ "sub": ["GEN-001"] }), json!({ "exp": [NOW + 60] })] {
        assert_eq!(outcome(&claim), Err(TokenError::Malformed), "{claim}");
    }
    let expecting = expecting(
        TokenKey::hs256(&Secret::new(signer.verifier())).unwrap(),
        Some("7"),
        Some("7"),
    );
    let outcome = |changes: &Value| verify(&expecting, &signer.sign(&claims(changes))).map(|_| ());
    assert_eq!(outcome(&json!({ "iss": 7, "aud": "7" })), Err(TokenError::Issuer));
    for aud in [json!(7), json!([7]), json!({ "7": "7" }), json!([])] {
        assert_eq!(
            outcome(&json!({ "iss": "7", "aud": aud })),
            Err(TokenError::Audience),
            "{aud}"
        );
    }
    assert_eq!(outcome(&json!({ "iss": "7", "aud": [7, "7"] })), Ok(()));
}

#[test]
fn exp_beyond_max_lifetime_is_refused() {
    let signer = Signer::hs256();
    let mut tokens = shared(&signer);
    let outcome =
        |tokens: &TokenVerifier, exp: Value| verify(tokens, &signer.sign(&claims(&json!({ "exp": exp })))).map(|_| ());
    let month = 31 * 24 * 60 * 60;
    assert_eq!(outcome(&tokens, json!(NOW + month)), Ok(()));
    // One minute of clock skew.
    assert_eq!(outcome(&tokens, json!(NOW + month + 60)), Ok(()));
    for far in [
        json!(NOW + month + 61),
        json!((NOW + 60) * 1_000),
        json!(format!("{}", (NOW + 60) * 1_000)),
        json!(9.9e99),
        json!(u64::MAX),
    ] {
        assert_eq!(outcome(&tokens, far.clone()), Err(TokenError::Lifetime), "{far}");
    }
    // Milliseconds in `auth_time` would be a sign-in that never grows old.
    let early = claims(&json!({ "auth_time": (NOW - 60) * 1_000 }));
    assert_eq!(verify(&tokens, &signer.sign(&early)), Err(TokenError::Early));

    tokens.limits.max_lifetime = Duration::from_secs(30);
    assert_eq!(outcome(&tokens, json!(NOW + 90)), Ok(()));
    assert_eq!(outcome(&tokens, json!(NOW + 91)), Err(TokenError::Lifetime));
}

#[test]
fn forged_token_reports_only_its_signature() {
    let tokens = shared(&Signer::hs256());
    for changes in [
        json!({}),
        json!({ "exp": NOW - 1 }),
        json!({ "exp": NOW * 1_000 }),
        json!({ "sub": 7 }),
    ] {
        let forged = Signer::hs256().sign(&claims(&changes));
        assert_eq!(verify(&tokens, &forged), Err(TokenError::Signature), "{changes}");
    }
}

#[test]
fn issuer_and_audience_are_checked_when_configured() {
    let signer = Signer::hs256();
    let key = TokenKey::hs256(&Secret::new(signer.verifier())).unwrap();
    let tokens = expecting(key, Some("https://issuer.example"), Some("postern"));
    let outcome =
        |iss: &str, aud: Value| verify(&tokens, &signer.sign(&claims(&json!({ "iss": iss, "aud": aud })))).map(|_| ());
    let good = "https://issuer.example";
    assert_eq!(outcome(good, json!("postern")), Ok(()));
    assert_eq!(outcome(good, json!(["other", "postern"])), Ok(()));
    assert_eq!(
        outcome("https://evil.example", json!("postern")),
        Err(TokenError::Issuer)
    );
    assert_eq!(outcome(good, json!("other")), Err(TokenError::Audience));
    assert_eq!(outcome(good, Value::Null), Err(TokenError::Audience));
    let neither = verify(&tokens, &signer.sign(&claims(&json!({}))));
    assert_eq!(neither, Err(TokenError::Issuer));
}

#[test]
fn alg_header_selects_no_algorithm() {
    let rsa = Signer::rs256();
    let tokens = public(&rsa);
    let good = claims(&json!({}));
    assert_eq!(verify(&tokens, &unsigned(&good)), Err(TokenError::Malformed));
    let algorithm_confusion = algorithm_confusion(rsa.verifier(), &good);
    assert_eq!(verify(&tokens, &algorithm_confusion), Err(TokenError::Algorithm));
    for alg in ["none", "nOnE", "HS256", "RS512", "PS256", "ES256"] {
        let token = rsa.sign_with(&json!({ "alg": alg, "typ": "JWT" }), &good);
        let outcome = verify(&tokens, &token);
        assert!(
            matches!(outcome, Err(TokenError::Algorithm | TokenError::Malformed)),
            "{alg}: {outcome:?}"
        );
    }
    let secret = Signer::hs256();
    let other = secret.sign_with(&json!({ "alg": "HS512", "typ": "JWT" }), &good);
    assert_eq!(verify(&shared(&secret), &other), Err(TokenError::Algorithm));
}

#[test]
fn unknown_critical_header_is_refused() {
    let signer = Signer::hs256();
    let header = json!({ "alg": "HS256", "crit": ["exp"], "exp": 1 });
    let token = signer.sign_with(&header, &claims(&json!({})));
    assert_eq!(verify(&shared(&signer), &token), Err(TokenError::Malformed));
}

#[test]
fn token_type_other_than_access_token_is_refused() {
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
            Err(TokenError::Kind),
            "{kind:?}"
        );
    }
}

#[test]
fn recognizable_id_token_is_refused() {
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
        assert_eq!(outcome("JWT", &claim), Err(TokenError::Kind), "{claim}");
        assert_eq!(
            outcome("at+jwt", &claim),
            Ok(()),
            "{claim}: the typ header says access token"
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
fn malformed_token_is_refused_without_panic() {
    let tokens = shared(&Signer::hs256());
    assert_eq!(verify(&tokens, ""), Err(TokenError::Missing));
    let most = TokenLimits::default().max_bytes;
    assert_eq!(verify(&tokens, &"a".repeat(most + 1)), Err(TokenError::TooLarge));
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
        assert_eq!(verify(&tokens, bad), Err(TokenError::Malformed), "{bad:?}");
    }
}

#[test]
fn tokens_of_either_key_are_accepted_during_a_rotation_and_those_of_a_removed_key_are_not() {
    let (old, new, thief) = (Signer::hs256(), Signer::hs256(), Signer::hs256());
    let set = |keys: &[&Signer]| {
        let lines: Vec<_> = keys.iter().map(|signer| signer.verifier()).collect();
        FixedKeys::hs256(&Secret::new(lines.join("\n"))).unwrap()
    };
    let keys = Reloadable::new(set(&[&old]));
    let tokens = TokenVerifier {
        keys: KeySource::Fixed(keys.clone()),
        issuer: None,
        audience: None,
        limits: TokenLimits::default(),
    };
    let outcomes = || [&old, &new, &thief].map(|signer| verify(&tokens, &signer.sign(&claims(&json!({})))).err());
    let refused = Some(TokenError::Signature);
    assert_eq!(outcomes(), [None, refused, refused]);
    keys.set(set(&[&new, &old]));
    assert_eq!(outcomes(), [None, None, refused]);
    keys.set(set(&[&new]));
    assert_eq!(outcomes(), [refused, None, refused]);
}

#[test]
fn token_is_checked_by_the_key_of_its_algorithm_wherever_that_stands() {
    let (one, other) = (Signer::es256(), Signer::eddsa());
    for pair in [[&one, &other], [&other, &one]] {
        let pems = pair.map(Signer::verifier).join("\n");
        let tokens = TokenVerifier {
            keys: KeySource::Fixed(Reloadable::new(FixedKeys::public_pems(&pems).unwrap())),
            ..shared(&Signer::hs256())
        };
        for signer in [&one, &other] {
            assert!(verify(&tokens, &signer.sign(&claims(&json!({})))).is_ok());
        }
        let outcome = |signer: Signer| verify(&tokens, &signer.sign(&claims(&json!({})))).err();
        assert_eq!(outcome(Signer::es256()), Some(TokenError::Signature));
        assert_eq!(outcome(Signer::eddsa()), Some(TokenError::Signature));
        assert_eq!(outcome(Signer::rs256()), Some(TokenError::Algorithm));
        assert_eq!(
            verify(&tokens, &algorithm_confusion(one.verifier(), &claims(&json!({})))).err(),
            Some(TokenError::Algorithm)
        );
    }
}

#[test]
fn weak_or_unsupported_key_is_rejected() {
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

/// Public key on the curve P-384, generated for this test.
const P384: &str = "-----BEGIN PUBLIC KEY-----\n\
    MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE9gMqObJ1JkTUOKRkpBM69ZOVq0GrFquU\n\
    AzN7DQ11iJeLZ5SwJ/qmYpZrnBnTxpaZP4TjGHjtZDFsZqqcGKazjC8wCeHVm94/\n\
    9DUrgVkSrwdKuvUkYHPp6ddkJDUZq78W\n\
    -----END PUBLIC KEY-----";

/// Public RSA key of 1024 bits, generated for this test.
const RSA_1024: &str = "-----BEGIN PUBLIC KEY-----\n\
    MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDXhIZB4fWaYdq8iByufO9qRyT+\n\
    8F4sOFJtAZYdmTQxHWAKWhWkAQBojdCR3XbwalgYTwZHHV/OpP8m31z90ENCsoOr\n\
    chmGFZoWmhqffgz2Ccx1N0uc66lp48HwwWBPecQaUFeQpXoZTWgDTRwaio6bzvET\n\
    hxRuSscSonQeOSnCzwIDAQAB\n\
    -----END PUBLIC KEY-----";
