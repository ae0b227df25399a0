//! Giving back what a platform granted.

use platforms::{Platform, RevokeError, Scope};
use protocol::secret::Secret;
use simulator::{Extent, Kind, Limit, Route};

use crate::world::{settings, silent, unanswering, with_settings, world};

#[tokio::test]
async fn a_token_ends_alone_and_a_grant_with_all_its_tokens() {
    world(async |world| {
        let (one, two) = (world.tokens("ada").await, world.tokens("ada").await);
        world.github.revoke(&one.access, Scope::Token).await.unwrap();
        let snapshot = world.simulator.snapshot();
        assert!(
            snapshot
                .tokens
                .iter()
                .map(|token| token.access_token.as_str())
                .eq([two.access.expose()])
        );
        world.tokens("ada").await;
        world.github.revoke(&two.access, Scope::Grant).await.unwrap();
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
async fn what_is_dead_already_counts_as_given_back() {
    world(async |world| {
        for scope in [Scope::Token, Scope::Grant] {
            world.github.revoke(&Secret::new("gho_dead"), scope).await.unwrap();
        }
        world.fault(
            Route::Revoke,
            Kind::Status {
                status: 422,
                headers: [].into(),
                body: "{}".to_owned(),
            },
        );
        world
            .github
            .revoke(&Secret::new("gho_dead"), Scope::Token)
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn credentials_that_are_refused_give_nothing_back() {
    world(async |world| {
        let tokens = world.tokens("ada").await;
        let mut settings = settings(world.simulator.url());
        settings.client_secret = Secret::new("not-the-secret");
        let github = with_settings(settings);
        let error = github.revoke(&tokens.access, Scope::Grant).await.unwrap_err();
        let chain = silent(&error, &["not-the-secret", tokens.access.expose()]);
        assert_eq!(
            chain,
            "github did not answer the revocation properly: the answer was status 401 Unauthorized"
        );
    })
    .await;
}

#[tokio::test]
async fn without_a_usable_answer_nothing_counts_as_given_back() {
    world(async |world| {
        let tokens = world.tokens("ada").await;
        for (kind, said) in unanswering() {
            // Of a revocation only the status is read, so a 200 of whatever is just an unexpected status.
            let said = if kind == Kind::Garbage { "status 200" } else { said };
            let github = world.faulty(Route::Revoke, &kind);
            let error = github.revoke(&tokens.access, Scope::Token).await.unwrap_err();
            let chain = silent(&error, &[tokens.access.expose()]);
            assert!(
                matches!(error, RevokeError::Unavailable(..)) && chain.contains(said),
                "{kind:?}: {chain}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_throttled_revocation_says_how_long_to_wait() {
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
            .revoke(&Secret::new("gho_dead"), Scope::Token)
            .await
            .unwrap_err();
        assert!(
            matches!(error, RevokeError::Throttled { wait, .. } if wait.as_secs() == 9),
            "{error:?}"
        );
    })
    .await;
}
