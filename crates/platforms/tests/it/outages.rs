//! Outages of a platform: its state, and one log line at the beginning and one at the end.

use std::sync::Arc;
use std::time::SystemTime;

use lifecycle::{Dependencies, DependencyState, ManualClock};
use platforms::{Github, Http, Platform, Tokens};
use protocol::secret::Secret;
use simulator::{Kind, Route};
use testkit::log::Log;
use testkit::wait;

use crate::world::{IMPATIENT, settings, world};

fn tokens(access: &str) -> Tokens {
    Tokens {
        access: Secret::new(access),
        refresh: None,
        expires_in: None,
    }
}

/// Runs on one thread, whose log is captured.
#[tokio::test]
async fn outage_of_a_platform_is_one_line_at_its_begin_and_one_at_its_end() {
    let (log, _guard) = Log::capture();
    world(async |world| {
        let dependencies = Dependencies::new(Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH)));
        let http = Http::new(IMPATIENT).unwrap().reporting_to(dependencies.clone());
        let github = Github::new(settings(world.simulator.url()), http).unwrap();
        let state = || dependencies.statuses()[0].state;
        assert_eq!(
            (dependencies.statuses()[0].name, state()),
            ("github", DependencyState::Unused)
        );

        // An answer that refuses the token is an answer.
        github.profile(&tokens("gho_secret_1")).await.unwrap_err();
        assert_eq!(state(), DependencyState::Up);

        for kind in [Kind::DropResponse, Kind::Hang, Kind::DropResponse] {
            world.fault(Route::Profile, kind);
            github.profile(&tokens("gho_secret_2")).await.unwrap_err();
        }
        assert_eq!(state(), DependencyState::Down);
        wait::until_true("the end of the outage", wait::deadline(), async || {
            github.profile(&tokens("gho_secret_3")).await.unwrap_err();
            state() == DependencyState::Up
        })
        .await;
    })
    .await;
    let (began, ended) = (log.lines("outage began"), log.lines("outage ended"));
    assert_eq!((began.len(), ended.len()), (1, 1), "{began:?} {ended:?}");
    assert!(began[0].contains("dependency=\"github\" class=\"broken\""), "{began:?}");
    assert!(ended[0].contains("failures=3"), "{ended:?}");
    assert!(log.lines("gho_secret").is_empty());
}
