//! Discord: refresh tokens that rotate, a profile, and a grant that is revoked as a whole.

use std::time::Duration;

use platforms::{
    ApiError, AuthorizeRequest, Discord, Http, PauseScope, Platform, RefreshError, RevocationPlan, RevocationScope,
    RevokeOutcome, Settings, Timeouts, Tokens,
};
use protocol::secret::Secret;
use simulator::{
    CLIENT_ID, CLIENT_SECRET, Fault, Handle, Kind, Limit, Platform::Discord as AtDiscord, Rotation, Route,
};
use url::Url;

use crate::world::{REDIRECT_URI, assert_no_secret, request, world};

pub(crate) fn discord(simulator: &Handle, client_secret: &str) -> Discord {
    let url = |path: &str| Url::parse(&format!("{}/discord/{path}", simulator.url())).unwrap();
    let settings = Settings {
        client_id: CLIENT_ID.to_owned(),
        client_secret: Secret::new(client_secret),
        authorize_url: url("oauth2/authorize"),
        token_url: url("api/oauth2/token"),
        api_url: url("api/v10"),
        revoke_url: None,
    };
    let timeouts = Timeouts {
        connect: Duration::from_secs(20),
        total: Duration::from_secs(30),
    };
    Discord::new(settings, Http::new(timeouts).unwrap()).unwrap()
}

/// Tokens of a test code of ada's.
async fn tokens(discord: &Discord) -> Tokens {
    let grant = discord.exchange(&request("test_code_ada")).await.unwrap();
    grant.tokens.unwrap()
}

#[tokio::test]
async fn code_is_exchanged_for_tokens_a_profile_and_a_valid_link() {
    world(async |world| {
        let discord = discord(&world.simulator, CLIENT_SECRET);
        let grant = discord.exchange(&request("test_code_ada")).await.unwrap();
        assert_eq!(grant.scopes, ["identify"]);
        let tokens = grant.tokens.unwrap();
        assert_eq!(tokens.expires_in, Some(Duration::from_secs(7 * 24 * 60 * 60)));
        let profile = discord.profile(&tokens).await.unwrap();
        assert_eq!(profile.username, "ada");
        let page = discord.sync(&tokens, None).await.unwrap();
        assert_eq!((page.profile, page.scopes), (profile, Some(grant.scopes)));
        world.simulator.deauthorize(AtDiscord, "ada");
        let withdrawn = discord.sync(&tokens, None).await;
        assert!(matches!(withdrawn, Err(ApiError::Refused(_))), "{withdrawn:?}");
    })
    .await;
}

#[tokio::test]
async fn authorize_url_requests_the_identify_scope_and_has_a_challenge() {
    world(async |world| {
        let asked = AuthorizeRequest {
            redirect_uri: REDIRECT_URI.to_owned(),
            state: Secret::new("the-state"),
            verifier: Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        };
        let url = discord(&world.simulator, CLIENT_SECRET).authorize(&asked);
        let query: Vec<_> = url.query_pairs().into_owned().collect();
        for (name, value) in [
            ("scope", "identify"),
            ("state", "the-state"),
            ("code_challenge_method", "S256"),
        ] {
            assert!(query.contains(&(name.to_owned(), value.to_owned())), "{name}: {url}");
        }
    })
    .await;
}

#[tokio::test]
async fn refresh_returns_new_tokens_and_a_second_one_is_refused() {
    world(async |world| {
        let discord = discord(&world.simulator, CLIENT_SECRET);
        let first = tokens(&discord).await.refresh.unwrap();
        let second = discord.refresh(&first).await.unwrap();
        discord.profile(&second.tokens.unwrap()).await.unwrap();
        let error = discord.refresh(&first).await.unwrap_err();
        assert!(matches!(error, RefreshError::Refused(_)), "{error:?}");
        assert_no_secret(&error, &[first.expose()]);
        let last = world.simulator.snapshot().ledger.refreshes.pop().unwrap();
        assert_eq!(
            (last.refresh_token.as_str(), last.rotation),
            (first.expose(), Rotation::Reused)
        );
    })
    .await;
}

#[tokio::test]
async fn only_a_refusal_of_the_token_itself_is_refused() {
    world(async |world| {
        let good = discord(&world.simulator, CLIENT_SECRET);
        let token = tokens(&good).await.refresh.unwrap();
        let misconfigured = discord(&world.simulator, "not-the-secret")
            .refresh(&token)
            .await
            .unwrap_err();
        assert!(matches!(misconfigured, RefreshError::NotSent(..)), "{misconfigured:?}");
        assert_no_secret(&misconfigured, &[token.expose(), "not-the-secret"]);
        let status = |status| Kind::Status {
            status,
            headers: [].into(),
            body: "error code: 1010".to_owned(),
        };
        for (kind, is_good) in [(status(403), true), (status(503), false), (Kind::Garbage, false)] {
            world
                .simulator
                .fault(Fault::once(AtDiscord, Route::Token, kind.clone()));
            let error = good.refresh(&token).await.unwrap_err();
            assert_eq!(
                matches!(error, RefreshError::NotSent(..)),
                is_good,
                "{kind:?}: {error:?}"
            );
            assert_eq!(
                matches!(error, RefreshError::Unknown(..)),
                !is_good,
                "{kind:?}: {error:?}"
            );
        }
        good.refresh(&token).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn lost_answer_is_unknown_and_the_token_is_not_sent_again() {
    world(async |world| {
        let discord = discord(&world.simulator, CLIENT_SECRET);
        let token = tokens(&discord).await.refresh.unwrap();
        world
            .simulator
            .fault(Fault::once(AtDiscord, Route::Token, Kind::DropResponse));
        let error = discord.refresh(&token).await.unwrap_err();
        assert!(matches!(error, RefreshError::Unknown(..)), "{error:?}");
        assert_no_secret(&error, &[token.expose()]);
        assert_eq!(world.simulator.snapshot().ledger.refreshes.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn throttled_call_reports_wait_and_scope() {
    world(async |world| {
        let discord = discord(&world.simulator, CLIENT_SECRET);
        let tokens = tokens(&discord).await;
        for (limit, whom) in [(Limit::Primary, PauseScope::Account), (Limit::Secondary, PauseScope::App)] {
            let kind = Kind::Throttle { limit, seconds: 30 };
            world.simulator.fault(Fault::once(AtDiscord, Route::Profile, kind.clone()));
            let called = discord.profile(&tokens).await.unwrap_err();
            assert!(
                matches!(called, ApiError::Throttled { wait, pause, .. } if wait.as_secs() == 30 && pause == whom),
                "{called:?}"
            );
            world.simulator.fault(Fault::once(AtDiscord, Route::Token, kind));
            let refreshed = discord.refresh(tokens.refresh.as_ref().unwrap()).await.unwrap_err();
            assert!(
                matches!(refreshed, RefreshError::Throttled { wait, pause, .. } if wait.as_secs() == 30 && pause == whom),
                "{refreshed:?}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn grant_is_revoked_as_a_whole_and_a_single_token_never() {
    world(async |world| {
        let discord = discord(&world.simulator, CLIENT_SECRET);
        let tokens = tokens(&discord).await;
        let refresh = tokens.refresh.unwrap();
        assert_eq!(discord.revocation(RevocationScope::Token), RevocationPlan::Nothing);
        assert_eq!(discord.revocation(RevocationScope::Grant), RevocationPlan::EachToken);
        // Discord does not report whether it knew the token (RFC 7009 section 2.2).
        for _ in 0..2 {
            assert_eq!(
                discord.revoke(&refresh, RevocationScope::Grant).await.unwrap(),
                RevokeOutcome::Ended
            );
            assert!(world.simulator.snapshot().grants.is_empty());
        }
    })
    .await;
}
