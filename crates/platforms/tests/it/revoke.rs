//! Revocation of grants and tokens at GitHub.

use platforms::{Platform, RefreshError, RevocationPlan, RevocationScope, RevokeError, RevokeOutcome};
use protocol::secret::Secret;
use simulator::{Extent, Kind, Limit, Route};

use crate::world::{assert_no_secret, settings, unanswering, with_settings, world};

#[tokio::test]
async fn token_is_revoked_alone_and_grant_with_all_its_tokens() {
    world(async |world| {
        let (one, two) = (world.tokens("ada").await, world.tokens("ada").await);
        world.github.revoke(&one.access, RevocationScope::Token).await.unwrap();
        let snapshot = world.simulator.snapshot();
        assert!(
            snapshot
                .tokens
                .iter()
                .map(|token| token.access_token.as_str())
                .eq([two.access.expose()])
        );
        world.tokens("ada").await;
        world.github.revoke(&two.access, RevocationScope::Grant).await.unwrap();
        let snapshot = world.simulator.snapshot();
        assert!(snapshot.tokens.is_empty());
        assert!(
            snapshot
                .ledger
                .revocations
                .iter()
                .map(|one| one.extent)
                .eq([Extent::Token, Extent::Grant])
        );
    })
    .await;
}

#[tokio::test]
async fn token_unknown_to_github_is_not_reported_as_ended() {
    world(async |world| {
        let tokens = world.tokens("ada").await;
        for scope in [RevocationScope::Token, RevocationScope::Grant] {
            assert_eq!(world.github.revocation(scope), RevocationPlan::ValidAccessToken);
            // 404, and 422 for a text that is no access token.
            for unknown in ["gho_dead", "ghr_a_refresh_token"] {
                let answered = world.github.revoke(&Secret::new(unknown), scope).await.unwrap();
                assert_eq!(answered, RevokeOutcome::UnknownToken, "{unknown}");
            }
        }
        let answered = world
            .github
            .revoke(&tokens.access, RevocationScope::Grant)
            .await
            .unwrap();
        assert_eq!(answered, RevokeOutcome::Ended);
    })
    .await;
}

#[tokio::test]
async fn github_app_tokens_are_refreshed_once_and_end_with_their_grant() {
    world(async |world| {
        world.simulator.expiring_github_tokens();
        let first = world.tokens("ada").await;
        let refresh = first.refresh.unwrap();
        let second = world.github.refresh(&refresh).await.unwrap().tokens.unwrap();
        assert!(second.expires_in.is_some());
        let old = world
            .github
            .revoke(&first.access, RevocationScope::Grant)
            .await
            .unwrap();
        assert_eq!(old, RevokeOutcome::UnknownToken, "a renewal ends the old access token");
        let again = world.github.refresh(&refresh).await.unwrap_err();
        assert!(matches!(again, RefreshError::Refused(_)), "{again:?}");

        let third = world.tokens("ada").await;
        assert_eq!(
            world
                .github
                .revoke(&third.access, RevocationScope::Grant)
                .await
                .unwrap(),
            RevokeOutcome::Ended
        );
        assert!(world.simulator.snapshot().grants.is_empty());
    })
    .await;
}

#[tokio::test]
async fn refused_credentials_revoke_nothing() {
    world(async |world| {
        let tokens = world.tokens("ada").await;
        let mut settings = settings(world.simulator.url());
        settings.client_secret = Secret::new("not-the-secret");
        let github = with_settings(settings);
        let error = github.revoke(&tokens.access, RevocationScope::Grant).await.unwrap_err();
        let chain = assert_no_secret(&error, &["not-the-secret", tokens.access.expose()]);
        assert_eq!(
            chain,
            "github did not answer the revocation properly: the answer was status 401 Unauthorized"
        );
    })
    .await;
}

#[tokio::test]
async fn revocation_without_a_usable_answer_is_unavailable() {
    world(async |world| {
        let tokens = world.tokens("ada").await;
        for (kind, expected) in unanswering() {
            // A revocation reads the status only, so a 200 with any body is just an unexpected status.
            let expected = if kind == Kind::Garbage { "status 200" } else { expected };
            let github = world.faulty(Route::Revoke, &kind);
            let error = github.revoke(&tokens.access, RevocationScope::Token).await.unwrap_err();
            let chain = assert_no_secret(&error, &[tokens.access.expose()]);
            assert!(
                matches!(error, RevokeError::Unavailable(..)) && chain.contains(expected),
                "{kind:?}: {chain}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn throttled_revocation_reports_the_wait() {
    world(async |world| {
        world.fault(
            Route::Revoke,
            Kind::Throttle {
                limit: Limit::Secondary,
                seconds: 9,
            },
        );
        let error = world
            .github
            .revoke(&Secret::new("gho_dead"), RevocationScope::Token)
            .await
            .unwrap_err();
        assert!(
            matches!(error, RevokeError::Throttled { wait, .. } if wait.as_secs() == 9),
            "{error:?}"
        );
    })
    .await;
}
