//! Profile of a token's owner, and the meaning of failed calls for a linked account.

use platforms::{ApiError, Platform, Tokens};
use protocol::secret::Secret;
use simulator::{Kind, Limit, Platform::Github as AtGithub, Route};

use crate::world::{assert_no_secret, unanswering, world};

#[tokio::test]
async fn profile_has_a_stable_id() {
    world(async |world| {
        let tokens = world.tokens("ada").await;
        let profile = world.github.profile(&tokens).await.unwrap();
        assert_eq!(
            (profile.username.as_str(), profile.display_name.as_deref()),
            ("ada", Some("ada (simulated)"))
        );
        assert!(profile.platform_user_id.parse::<u64>().is_ok(), "{profile:?}");
        assert!(profile.avatar_url.unwrap().ends_with(&profile.platform_user_id));
    })
    .await;
}

#[tokio::test]
async fn token_that_is_no_longer_accepted_is_refused() {
    world(async |world| {
        let tokens = world.tokens("ada").await;
        world.simulator.deauthorize(AtGithub, "ada");
        let error = world.github.profile(&tokens).await.unwrap_err();
        assert!(matches!(error, ApiError::Refused(_)), "{error:?}");
        assert_no_secret(&error, &[tokens.access.expose()]);
    })
    .await;
}

#[tokio::test]
async fn unusable_answer_never_refuses_the_token() {
    world(async |world| {
        let tokens = world.tokens("ada").await;
        for (kind, expected) in unanswering() {
            let github = world.faulty(Route::Profile, &kind);
            let error = github.profile(&tokens).await.unwrap_err();
            let chain = assert_no_secret(&error, &[tokens.access.expose()]);
            assert!(
                matches!(error, ApiError::Unavailable(..)) && chain.contains(expected),
                "{kind:?}: {chain}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn both_limits_report_the_wait() {
    world(async |world| {
        let tokens = world.tokens("ada").await;
        for limit in [Limit::Primary, Limit::Secondary] {
            world.fault(Route::Profile, Kind::Throttle { limit, seconds: 100 });
            let error = world.github.profile(&tokens).await.unwrap_err();
            // A window ends at a whole second, and the answer is dated by the second before.
            assert!(
                matches!(error, ApiError::Throttled { wait, .. } if (99..=101).contains(&wait.as_secs())),
                "{limit:?}: {error:?}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn forbidden_call_is_neither_a_throttle_nor_a_refused_token() {
    world(async |world| {
        let tokens = world.tokens("ada").await;
        let headers = [("x-ratelimit-remaining".to_owned(), "4999".to_owned())].into();
        world.fault(
            Route::Profile,
            Kind::Status {
                status: 403,
                headers,
                body: "{}".to_owned(),
            },
        );
        let error = world.github.profile(&tokens).await.unwrap_err();
        assert!(matches!(error, ApiError::Unavailable(..)), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn token_that_is_no_header_value_is_not_sent_and_not_printed() {
    world(async |world| {
        let tokens = Tokens {
            access: Secret::new("gho_split\r\nx: y"),
            refresh: None,
            expires_in: None,
        };
        let error = world.github.profile(&tokens).await.unwrap_err();
        assert!(assert_no_secret(&error, &["gho_split"]).contains("the request was not sent"));
        assert_eq!(world.requests(Route::Profile), 0);
    })
    .await;
}
