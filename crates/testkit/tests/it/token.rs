//! Tokens: a strict verifier accepts the valid ones and refuses each invalid one.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Value, json};
use testkit::token::{self, Signer};

fn is_valid(token: &str, algorithm: Algorithm, key: &DecodingKey) -> bool {
    let mut strict = Validation::new(algorithm);
    strict.leeway = 0;
    decode::<Value>(token, key, &strict).is_ok_and(|token| token.claims["sub"] == "GEN-001")
}

#[test]
fn verifier_accepts_tokens_of_every_algorithm() {
    let hs256 = Signer::hs256();
    let (es256, eddsa, rs256) = (Signer::es256(), Signer::eddsa(), Signer::rs256());
    let pem = |signer: &Signer| signer.verifier().as_bytes().to_vec();
    let cases = [
        (&hs256, Algorithm::HS256, DecodingKey::from_secret(&pem(&hs256))),
        (
            &es256,
            Algorithm::ES256,
            DecodingKey::from_ec_pem(&pem(&es256)).unwrap(),
        ),
        (
            &eddsa,
            Algorithm::EdDSA,
            DecodingKey::from_ed_pem(&pem(&eddsa)).unwrap(),
        ),
        (
            &rs256,
            Algorithm::RS256,
            DecodingKey::from_rsa_pem(&pem(&rs256)).unwrap(),
        ),
    ];
    for (signer, algorithm, key) in cases {
        let good = signer.token("GEN-001");
        assert!(is_valid(&good, algorithm, &key), "{algorithm:?}");
        assert!(
            !is_valid(&token::with_altered_signature(&good), algorithm, &key),
            "{algorithm:?}"
        );
        let claims = json!({ "sub": "GEN-001", "exp": token::now() + 60 });
        assert!(!is_valid(&token::unsigned(&claims), algorithm, &key), "{algorithm:?}");
        assert!(
            !is_valid(&signer.sign(&token::expired_claims("GEN-001")), algorithm, &key),
            "{algorithm:?}"
        );
        // Only a verifier that lets the token choose its algorithm accepts this one.
        let algorithm_confusion = token::algorithm_confusion(signer.verifier(), &claims);
        assert_eq!(
            is_valid(&algorithm_confusion, algorithm, &key),
            algorithm == Algorithm::HS256
        );
        assert!(is_valid(
            &algorithm_confusion,
            Algorithm::HS256,
            &DecodingKey::from_secret(signer.verifier().as_bytes())
        ));
    }
}

#[test]
fn any_header_can_be_signed() {
    let signer = Signer::hs256();
    let token = signer.sign_with(&json!({ "alg": "RS256", "kid": "../key" }), &json!({}));
    let header = jsonwebtoken::decode_header(&token).unwrap();
    assert_eq!((header.alg, header.kid.as_deref()), (Algorithm::RS256, Some("../key")));
}
