//! Metrics of calls, as a scrape shows them.

use std::sync::atomic::{AtomicU16, Ordering};

use ::http::{Request, Response, StatusCode};
use platforms::{Github, Http, Platform, Settings, Timeouts, Tokens, XTwitter};
use protocol::secret::Secret;
use simulator::{Kind, Platform::Github as AtGithub, Route};
use telemetry::metrics::Metrics;
use tokio::net::TcpListener;
use url::Url;

use crate::telegram;
use crate::world::{IMPATIENT, PATIENT, request, settings, world};

const DURATION: &str = "http_client_request_duration_seconds_count";

/// GitHub client whose calls are recorded.
fn metered(base: &str, timeouts: Timeouts) -> (Github, Metrics) {
    let metrics = Metrics::new("test");
    let http = Http::new(timeouts).unwrap().metered(&metrics.meter());
    (Github::new(settings(base), http).unwrap(), metrics)
}

fn tokens() -> Tokens {
    Tokens {
        access: Secret::new("gho_1"),
        refresh: None,
        expires_in: None,
    }
}

/// Asserts that calls with these labels were recorded this often.
fn assert_recorded(metrics: &Metrics, labels: &str, times: u64) {
    let text = metrics.render().unwrap();
    let line = format!("{DURATION}{{{labels}}} {times}");
    assert!(text.lines().any(|found| found == line), "{line} is missing in:\n{text}");
}

#[tokio::test]
async fn call_is_recorded_by_platform_route_and_status() {
    world(async |world| {
        let (github, metrics) = metered(world.simulator.url(), PATIENT);
        let grant = github.exchange(&request("test_code_ada")).await.unwrap();
        let tokens = grant.tokens.unwrap();
        github.profile(&tokens).await.unwrap();
        github.profile(&tokens).await.unwrap();
        world.simulator.deauthorize(AtGithub, "ada");
        github.profile(&tokens).await.unwrap_err();
        let exchange = "http_request_method=\"POST\",http_response_status_code=\"200\",platform=\"github\",\
                        url_template=\"/login/oauth/access_token\"";
        assert_recorded(&metrics, exchange, 1);
        let profile = "http_request_method=\"GET\",http_response_status_code=\"200\",platform=\"github\",url_template=\"/user\"";
        assert_recorded(&metrics, profile, 2);
        let refused = "error_type=\"401\",http_request_method=\"GET\",http_response_status_code=\"401\",platform=\"github\",\
                       url_template=\"/user\"";
        assert_recorded(&metrics, refused, 1);
    })
    .await;
}

#[tokio::test]
async fn fetch_of_telegram_s_keys_is_recorded_as_a_call() {
    world(async |world| {
        let metrics = Metrics::new("test");
        telegram::identify(&world, &metrics).await;
        for (method, template) in [("POST", "/token"), ("GET", "/.well-known/jwks.json")] {
            let labels = format!(
                "http_request_method=\"{method}\",http_response_status_code=\"200\",platform=\"telegram\",\
                 url_template=\"{template}\""
            );
            assert_recorded(&metrics, &labels, 1);
        }
    })
    .await;
}

#[tokio::test]
async fn call_without_an_answer_is_recorded_by_its_failure() {
    world(async |world| {
        let (github, metrics) = metered(world.simulator.url(), IMPATIENT);
        for (kind, error_type) in [(Kind::Hang, "timeout"), (Kind::DropResponse, "broken")] {
            world.fault(Route::Profile, kind);
            github.profile(&tokens()).await.unwrap_err();
            let labels = format!(
                "error_type=\"{error_type}\",http_request_method=\"GET\",platform=\"github\",url_template=\"/user\""
            );
            assert_recorded(&metrics, &labels, 1);
        }
    })
    .await;
}

#[tokio::test]
async fn call_whose_caller_stops_waiting_is_recorded_as_cancelled() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (github, metrics) = metered(&format!("http://{}", listener.local_addr().unwrap()), PATIENT);
    let tokens = tokens();
    tokio::select! {
        answered = github.profile(&tokens) => panic!("{answered:?}"),
        accepted = listener.accept() => drop(accepted.unwrap()),
    }
    let labels = "error_type=\"cancelled\",http_request_method=\"GET\",platform=\"github\",url_template=\"/user\"";
    assert_recorded(&metrics, labels, 1);
}

/// X with a user id of its own in each profile, and every status in turn as the answer to the next call.
fn erratic_x(metrics: &Metrics) -> XTwitter {
    let next = AtomicU16::new(0);
    let http = Http::answering(move |request: &Request<Vec<u8>>| {
        if request.uri().path().ends_with("/me") {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let user = format!(
                "{{\"data\":{{\"id\":\"{}\",\"username\":\"ada\"}}}}",
                FIRST_ID + u32::from(number)
            );
            return Response::new(user.into_bytes());
        }
        let mut answer = Response::new(Vec::new());
        let number = next.load(Ordering::Relaxed);
        *answer.status_mut() = StatusCode::from_u16(100 + (number - 1) % 900).unwrap();
        answer
    });
    let url = |path: &str| Url::parse(&format!("https://x.example/{path}")).unwrap();
    let settings = Settings {
        client_id: "the-app".to_owned(),
        client_secret: Secret::new("s"),
        authorize_url: url("authorize"),
        token_url: url("token"),
        api_url: url("2"),
        revoke_url: None,
    };
    XTwitter::new(settings, http.metered(&metrics.meter())).unwrap()
}

const FIRST_ID: u32 = 770_000_000;

#[tokio::test]
async fn statuses_and_ids_of_a_platform_create_a_bounded_number_of_series() {
    let metrics = Metrics::new("test");
    let x_twitter = erratic_x(&metrics);
    for _ in 0..900 {
        drop(x_twitter.sync(&tokens(), None).await);
    }
    let text = metrics.render().unwrap();
    let series = text.lines().filter(|line| line.starts_with(DURATION)).count();
    assert!((40..=80).contains(&series), "{series} series:\n{text}");
    assert!(!text.contains("7700"), "an id is in:\n{text}");
    assert!(text.contains("url_template=\"/users/{id}/mentions\""), "{text}");
}
