//! Telegram, from the authorize page to the identity of the user.

use std::collections::HashMap;
use std::sync::Arc;

use lifecycle::SystemClock;
use platforms::{
    AuthorizeRequest, ExchangeError, ExchangeRequest, Grant, Http, Platform, Telegram, TelegramSettings, Timeouts,
};
use protocol::secret::Secret;
use simulator::Platform::Telegram as AtTelegram;
use simulator::{BOT_TOKEN, Fault, Kind, Route};
use telemetry::metrics::Metrics;
use url::{Url, form_urlencoded};

use crate::world::{REDIRECT_URI, World, assert_no_secret, open_authorize_page, request, settings, world};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn telegram(world: &World, issuer: &str) -> Telegram {
    with_http(world, issuer, Http::new(Timeouts::default()).unwrap())
}

fn with_http(world: &World, issuer: &str, http: Http) -> Telegram {
    with_bot(world, issuer, http, "123456:TEST-TOKEN")
}

fn with_bot(world: &World, issuer: &str, http: Http, bot_token: &str) -> Telegram {
    let base = world.simulator.url();
    let url = |path: &str| Url::parse(&format!("{base}/telegram{path}")).unwrap();
    let mut oauth = settings(base);
    (oauth.authorize_url, oauth.token_url) = (url("/auth"), url("/token"));
    let settings = TelegramSettings {
        oauth,
        issuer: issuer.to_owned(),
        jwks_url: url("/.well-known/jwks.json"),
        bot_token: Some(Secret::new(bot_token)),
    };
    Telegram::new(settings, http, Arc::new(SystemClock)).unwrap()
}

pub(crate) fn here(world: &World) -> Telegram {
    telegram(world, &format!("{}/telegram", world.simulator.url()))
}

/// Identifies a user by a client whose calls are recorded in these metrics.
pub(crate) async fn identify(world: &World, metrics: &Metrics) {
    let http = Http::new(Timeouts::default()).unwrap().metered(&metrics.meter());
    let telegram = with_http(world, &format!("{}/telegram", world.simulator.url()), http);
    let back = code(&telegram).await;
    let code = back.get("code").unwrap();
    exchange(&telegram, code, VERIFIER).await.unwrap();
}

async fn code(telegram: &Telegram) -> HashMap<String, String> {
    let page = telegram.authorize(&AuthorizeRequest {
        redirect_uri: REDIRECT_URI.to_owned(),
        state: Secret::new("the-state"),
        verifier: Secret::new(VERIFIER),
    });
    open_authorize_page(&page).await
}

async fn exchange(telegram: &Telegram, code: &str, verifier: &str) -> Result<Grant, ExchangeError> {
    let request = ExchangeRequest {
        verifier: Some(Secret::new(verifier)),
        ..request(code)
    };
    telegram.exchange(&request).await
}

#[tokio::test]
async fn code_with_its_verifier_identifies_the_user_once() {
    world(async |world| {
        let telegram = here(&world);
        let back = code(&telegram).await;
        assert_eq!(back["state"], "the-state");
        let grant = exchange(&telegram, &back["code"], VERIFIER).await.unwrap();
        assert!(grant.tokens.is_none());
        let owner = grant.owner.unwrap();
        assert_eq!(owner.username, "octocat");
        let avatar = format!("{}/telegram/avatars/{}", world.simulator.url(), owner.platform_user_id);
        assert_eq!(owner.avatar_url, Some(avatar));
        let again = exchange(&telegram, &back["code"], VERIFIER).await.unwrap_err();
        assert_eq!(
            assert_no_secret(&again, &[VERIFIER]),
            "telegram refused the authorization code: invalid_grant"
        );
        let other = code(&telegram).await["code"].clone();
        exchange(&telegram, &other, "another-verifier").await.unwrap_err();
    })
    .await;
}

#[tokio::test]
async fn login_widget_identifies_the_user_with_the_picture() {
    world(async |world| {
        let base = world.simulator.url();
        let telegram = with_bot(&world, base, Http::new(Timeouts::default()).unwrap(), BOT_TOKEN);
        let widget = format!("{base}/telegram/auth?bot_id=7000000001&return_to=https://app.example/back");
        let fields = open_authorize_page(&Url::parse(&widget).unwrap()).await;
        let payload = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&fields)
            .finish();
        let owner = telegram.exchange(&request(&payload)).await.unwrap().owner.unwrap();
        assert_eq!(owner.username, "octocat");
        assert_eq!(
            owner.avatar_url.unwrap(),
            format!("{base}/telegram/avatars/{}", owner.platform_user_id)
        );
        let forged = payload.replace("username=octocat", "username=ada");
        telegram.exchange(&request(&forged)).await.unwrap_err();
    })
    .await;
}

#[tokio::test]
async fn id_token_of_another_issuer_is_rejected() {
    world(async |world| {
        let telegram = telegram(&world, Telegram::ISSUER);
        let error = telegram.exchange(&request("test_code_ada")).await.unwrap_err();
        assert!(matches!(error, ExchangeError::Unknown(..)), "{error:?}");
        assert!(assert_no_secret(&error, &["test_code_ada"]).ends_with("the id_token has another issuer"));
    })
    .await;
}

#[tokio::test]
async fn keys_are_fetched_once_and_without_keys_no_user_is_identified() {
    world(async |world| {
        let telegram = here(&world);
        let away = Kind::Status {
            status: 503,
            headers: [].into(),
            body: String::new(),
        };
        world.simulator.fault(Fault::once(AtTelegram, Route::Keys, away));
        let error = telegram.exchange(&request("test_code_ada")).await.unwrap_err();
        assert!(matches!(error, ExchangeError::Unknown(..)), "{error:?}");
        for _ in 0..3 {
            telegram.exchange(&request("test_code_ada")).await.unwrap();
        }
        assert_eq!(world.simulator.snapshot().ledger.requests(AtTelegram, Route::Keys), 2);
    })
    .await;
}
