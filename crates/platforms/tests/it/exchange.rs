//! Authorization flow at GitHub: authorize page, exchange, and its failures.

use std::collections::HashMap;
use std::time::Duration;

use platforms::{AuthorizeRequest, ExchangeError, ExchangeRequest, Platform};
use protocol::secret::Secret;
use simulator::{CLIENT_ID, Kind, Limit, Platform::Github as AtGithub, Route};
use tokio::net::TcpSocket;
use url::Url;

use crate::world::{
    REDIRECT_URI, World, assert_no_secret, html, open_authorize_page, request, settings, unanswering, with_settings,
    world,
};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn authorize(world: &World) -> Url {
    let request = AuthorizeRequest {
        redirect_uri: REDIRECT_URI.to_owned(),
        state: Secret::new("the-state"),
        verifier: Secret::new(VERIFIER),
    };
    world.github.authorize(&request)
}

async fn consent(world: &World) -> HashMap<String, String> {
    open_authorize_page(&authorize(world)).await
}

fn with_verifier(code: &str, verifier: &str) -> ExchangeRequest {
    ExchangeRequest {
        verifier: Some(Secret::new(verifier)),
        ..request(code)
    }
}

#[tokio::test]
async fn authorize_url_requests_the_needed_scopes_and_contains_no_secret() {
    world(async |world| {
        let url = authorize(&world);
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(query["client_id"], CLIENT_ID);
        assert_eq!(query["redirect_uri"], REDIRECT_URI);
        assert_eq!(query["response_type"], "code");
        assert_eq!(query["scope"], "read:user notifications");
        assert_eq!(query["state"], "the-state");
        assert_eq!(query["code_challenge"], "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert_eq!(query["code_challenge_method"], "S256");
        assert!(!url.as_str().contains(VERIFIER));
    })
    .await;
}

#[tokio::test]
async fn code_with_its_verifier_is_exchanged_for_tokens() {
    world(async |world| {
        let back = consent(&world).await;
        assert_eq!(back["state"], "the-state");
        let grant = world
            .github
            .exchange(&with_verifier(&back["code"], VERIFIER))
            .await
            .unwrap();
        assert_eq!(grant.scopes, ["notifications", "read:user"]);
        let tokens = grant.tokens.unwrap();
        assert!(tokens.refresh.is_none() && tokens.expires_in.is_none());
        let live = world.simulator.snapshot().tokens;
        assert_eq!(live[0].access_token, tokens.access.expose());
    })
    .await;
}

#[tokio::test]
async fn redirect_uri_arrives_byte_for_byte() {
    world(async |world| {
        let back = consent(&world).await;
        let redirect_uri = "HTTP://localhost:3000/callback".to_owned();
        let other = ExchangeRequest {
            redirect_uri,
            ..with_verifier(&back["code"], VERIFIER)
        };
        let error = world.github.exchange(&other).await.unwrap_err();
        assert!(
            matches!(&error, ExchangeError::Refused(_, code) if code == "redirect_uri_mismatch"),
            "{error:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn refusal_contains_the_error_code_of_the_platform() {
    world(async |world| {
        let refused = async |request: &ExchangeRequest| match world.github.exchange(request).await {
            Err(error @ ExchangeError::Refused(..)) => assert_no_secret(&error, &[request.code.expose(), VERIFIER]),
            other => panic!("not refused: {other:?}"),
        };
        let expected = "github refused the authorization code: bad_verification_code";
        assert_eq!(refused(&request("nonsense-code")).await, expected);
        let code = consent(&world).await["code"].clone();
        assert_eq!(refused(&with_verifier(&code, "another-verifier")).await, expected);
        let code = consent(&world).await["code"].clone();
        world.github.exchange(&with_verifier(&code, VERIFIER)).await.unwrap();
        assert_eq!(
            refused(&with_verifier(&code, VERIFIER)).await,
            expected,
            "a code is good once"
        );
    })
    .await;
}

#[tokio::test]
async fn wrong_credentials_are_refused() {
    world(async |world| {
        let mut settings = settings(world.simulator.url());
        settings.client_secret = Secret::new("not-the-secret");
        let github = with_settings(settings);
        let error = github.exchange(&request("test_code_ada")).await.unwrap_err();
        let chain = assert_no_secret(&error, &["test_code_ada", "not-the-secret"]);
        assert_eq!(
            chain,
            "github refused the authorization code: incorrect_client_credentials"
        );
    })
    .await;
}

#[tokio::test]
async fn exchange_without_a_usable_answer_is_unknown_and_the_code_is_not_sent_again() {
    world(async |world| {
        for (kind, expected) in unanswering() {
            let before = world.requests(Route::Token);
            let github = world.faulty(Route::Token, &kind);
            let error = github
                .exchange(&with_verifier("test_code_ada", VERIFIER))
                .await
                .unwrap_err();
            let chain = assert_no_secret(&error, &["test_code_ada", VERIFIER, "gho_"]);
            assert!(
                matches!(error, ExchangeError::Unknown(..)) && chain.contains(expected),
                "{kind:?}: {chain}"
            );
            assert_eq!(world.requests(Route::Token), before + 1, "{kind:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn html_page_is_no_answer_to_an_exchange_or_a_profile_call() {
    world(async |world| {
        let tokens = world.tokens("ada").await;
        for route in [Route::Token, Route::Profile] {
            world.fault(route, html(200));
        }
        let error = world.github.exchange(&request("test_code_bob")).await.unwrap_err();
        assert!(matches!(error, ExchangeError::Unknown(..)), "{error:?}");
        let chain = assert_no_secret(&error, &["test_code_bob", "Just a moment"]);
        assert!(chain.contains("could not be read"), "{chain}");
        let error = world.github.profile(&tokens).await.unwrap_err();
        let chain = assert_no_secret(&error, &[tokens.access.expose(), "Just a moment"]);
        assert!(chain.contains("could not be read"), "{chain}");
    })
    .await;
}

#[tokio::test]
async fn redirect_is_not_followed() {
    world(async |world| {
        let location = format!("{}/github/api/user", world.simulator.url());
        world.fault(Route::Token, Kind::Redirect { location });
        world.github.exchange(&request("test_code_ada")).await.unwrap_err();
        assert_eq!(world.requests(Route::Profile), 0);
    })
    .await;
}

#[tokio::test]
async fn unreachable_platform_reports_not_sent() {
    world(async |world| {
        let mut settings = settings(world.simulator.url());
        // Bound and not listening: connections are refused, and no other process can take the port.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let gone = socket.local_addr().unwrap();
        settings.token_url = Url::parse(&format!("http://{gone}/token")).unwrap();
        let github = with_settings(settings);
        let error = github.exchange(&request("test_code_ada")).await.unwrap_err();
        assert!(matches!(error, ExchangeError::NotSent(..)), "{error:?}");
        let chain = assert_no_secret(&error, &["test_code_ada", "/token"]);
        assert!(
            chain.starts_with("github could not be reached: the request was not sent: "),
            "{chain}"
        );
    })
    .await;
}

#[tokio::test]
async fn throttled_exchange_reports_the_wait() {
    world(async |world| {
        world.fault(
            Route::Token,
            Kind::Throttle {
                limit: Limit::Secondary,
                seconds: 30,
            },
        );
        let error = world.github.exchange(&request("test_code_ada")).await.unwrap_err();
        assert!(
            matches!(error, ExchangeError::Throttled { wait, .. } if wait.as_secs() == 30),
            "{error:?}"
        );
        assert_eq!(
            world.simulator.snapshot().ledger.exchanges(AtGithub, "test_code_ada"),
            0
        );
    })
    .await;
}

/// Tokens that were refused here would stay valid at the platform.
#[tokio::test]
async fn tokens_with_unreadable_lifetime_or_missing_type_are_accepted() {
    world(async |world| {
        for (fields, expected) in [
            (r#""expires_in":"3599.7""#, Some(3_599)),
            (r#""expires_in":"soon""#, None),
            (r#""expires_in":-1"#, None),
            (r#""expires_in":null,"scope":null"#, None),
        ] {
            let kind = Kind::Status {
                status: 200,
                headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
                body: format!(r#"{{"access_token":"gho_1",{fields}}}"#),
            };
            world.fault(Route::Token, kind);
            let grant = world.github.exchange(&request("test_code_ada")).await.unwrap();
            let life = grant.tokens.unwrap().expires_in;
            assert_eq!(life, expected.map(Duration::from_secs), "{fields}");
        }
    })
    .await;
}

#[tokio::test]
async fn answer_that_quotes_the_code_is_not_printed() {
    world(async |world| {
        let quoting = [
            r#"{"error":"test_code_ada"}"#,
            r#"{"error":"bad_verification_code","error_description":"test_code_ada is wrong"}"#,
            r#"{"error":"invalid_request","error_uri":"/test_code_ada"}"#,
            r#"{"access_token":["test_code_ada"],"token_type":"bearer"}"#,
            "test_code_ada",
        ];
        for body in quoting {
            let headers = [("content-type".to_owned(), "application/json".to_owned())];
            for status in [200, 400] {
                let kind = Kind::Status {
                    status,
                    headers: headers.clone().into(),
                    body: body.to_owned(),
                };
                world.fault(Route::Token, kind);
                let error = world.github.exchange(&request("test_code_ada")).await.unwrap_err();
                assert_no_secret(&error, &["test_code_ada", "gho_1"]);
            }
        }
    })
    .await;
}
