//! Failures at platforms and outages of the store, as an operator reads them: one WARN line per failure at a platform, with the code
//! `platform_unavailable`; one line at the begin and one at the end of an outage.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lifecycle::{Dependencies, SystemClock};
use platforms::{Github, Http, Settings, Timeouts};
use protocol::command::CommandKind;
use protocol::secret::Secret;
use url::Url;

use crate::client::{assert_error, assert_success};
use crate::env::TestEnv;
use crate::log::Log;
use crate::scripted_platform::ScriptedPlatform;

#[tokio::test(start_paused = true)]
async fn exchange_at_hanging_platform_is_logged_as_warning_and_counted() {
    let log = Log::default();
    let _guard = log.capture();
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    assert_error(&client.connect(ScriptedPlatform::HANGS).await, "oauth_failed");
    log.assert_warned_of_platform("authorization code exchange of unknown outcome");
    let labels = [r#"platform="github""#, r#"outcome="platform_unavailable""#];
    env.wait_for_count("postern_worker_exchanges_total", &labels, 1).await;
}

#[tokio::test(start_paused = true)]
async fn syncs_at_hanging_platform_are_logged_as_warnings() {
    let log = Log::default();
    let _guard = log.capture();
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    assert_success(&client.connect("any").await);
    assert_error(&client.for_github(CommandKind::Sync).await, "platform_unavailable");
    log.assert_warned_of_platform("job failed");
    env.clock.advance(Duration::from_hours(2));
    tokio::time::sleep(Duration::from_secs(60)).await;
    log.assert_warned_of_platform("scheduled sync failed");
}

/// Jobs of an outage of a platform are no lines of their own.
#[tokio::test]
async fn platform_outage_is_one_line_at_its_begin_however_many_jobs_fail() {
    let log = Log::default();
    let _guard = log.capture();
    let env = TestEnv::new(vec![Arc::new(unreachable_github())]);
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    for code in ["code-1", "code-2", "code-3"] {
        assert_error(&client.connect(code).await, "platform_unavailable");
    }
    let warned = log.lines(" WARN ");
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(
        warned[0].contains("outage began dependency=\"github\" class=\"unreachable\""),
        "{warned:?}"
    );
    assert_eq!(log.lines("job failed in an outage").len(), 3);
}

/// GitHub at a port where nothing listens, whose outages are reported.
fn unreachable_github() -> Github {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let base = Url::parse(&format!("http://{}/", free.unwrap())).unwrap();
    let settings = Settings {
        client_id: "the-app".to_owned(),
        client_secret: Secret::new("s"),
        authorize_url: base.clone(),
        token_url: base.clone(),
        api_url: base,
        revoke_url: None,
    };
    let dependencies = Dependencies::new(Arc::new(SystemClock));
    let http = Http::new(Timeouts::default()).unwrap().reporting_to(dependencies);
    Github::new(settings, http).unwrap()
}

#[tokio::test(start_paused = true)]
async fn store_outage_is_one_line_at_its_begin_and_one_at_its_end() {
    let log = Log::default();
    let _guard = log.capture();
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    env.store.is_unavailable.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert_error(&client.connect("any").await, "unavailable");
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    env.store.is_unavailable.store(false, Ordering::SeqCst);
    assert_success(&client.connect("any").await);
    let of_jobs = |message: &str| {
        let mut lines = log.lines(message);
        lines.retain(|line| line.contains(r#"operation="execute jobs""#));
        lines
    };
    let (began, ended) = (of_jobs("outage began"), of_jobs("outage ended"));
    assert_eq!((began.len(), ended.len()), (1, 1), "{began:?}, {ended:?}");
    assert!(ended[0].contains("failures=3"), "{ended:?}");
}
