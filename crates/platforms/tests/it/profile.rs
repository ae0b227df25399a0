//! Who a token belongs to, and what a failed call for a linked account means.

use platforms::{ApiError, Platform, Tokens};
use protocol::secret::Secret;
use simulator::{Kind, Limit, Platform::Github as AtGithub, Route};

use crate::world::{silent, unanswering, world};

#[tokio::test]
async fn a_profile_is_known_by_a_number_that_outlives_names() {
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
async fn a_token_that_is_no_longer_accepted_needs_its_user() {
    world(async |world| {
        let tokens = world.tokens("ada").await;
        world.simulator.deauthorize(AtGithub, "ada");
        let error = world.github.profile(&tokens).await.unwrap_err();
        assert!(matches!(error, ApiError::Refused(_)), "{error:?}");
        silent(&error, &[tokens.access.expose()]);
    })
    .await;
}

#[tokio::test]
async fn no_usable_answer_never_means_that_the_link_is_broken() {
    world(async |world| {
        let tokens = world.tokens("ada").await;
        for (kind, said) in unanswering() {
            let github = world.faulty(Route::Profile, &kind);
            let error = github.profile(&tokens).await.unwrap_err();
            let chain = silent(&error, &[tokens.access.expose()]);
            assert!(
                matches!(error, ApiError::Unavailable(..)) && chain.contains(said),
                "{kind:?}: {chain}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn both_limits_say_how_long_to_wait() {
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
async fn a_forbidden_call_is_neither_a_throttle_nor_a_broken_link() {
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
async fn a_token_that_no_header_can_carry_is_not_sent_and_not_shown() {
    world(async |world| {
        let tokens = Tokens {
            access: Secret::new("gho_split\r\nx: y"),
            refresh: None,
            expires_in: None,
        };
        let error = world.github.profile(&tokens).await.unwrap_err();
        assert!(silent(&error, &["gho_split"]).contains("the request was not sent"));
        assert_eq!(world.requests(Route::Profile), 0);
    })
    .await;
}
