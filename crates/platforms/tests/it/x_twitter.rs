//! X: refresh tokens that rotate, posts and messages that are reported once, and tokens that are revoked one by one.

use std::time::Duration;

use platforms::{
    ApiError, Http, Platform, RefreshError, RevocationPlan, RevocationScope, RevokeOutcome, Settings, Timeouts, Tokens,
    XTwitter,
};
use protocol::notification::NotificationType::{Mention, Message, Reply};
use protocol::secret::Secret;
use simulator::{
    CLIENT_ID, CLIENT_SECRET, Fault, Handle, Kind, Limit, NewPost, Platform::XTwitter as AtX, PostKind, Route,
};
use url::Url;

use crate::world::{assert_no_secret, request, world};

pub(crate) fn x_twitter(simulator: &Handle) -> XTwitter {
    let url = |path: &str| Url::parse(&format!("{}/x_twitter/{path}", simulator.url())).unwrap();
    let settings = Settings {
        client_id: CLIENT_ID.to_owned(),
        client_secret: Secret::new(CLIENT_SECRET),
        authorize_url: url("i/oauth2/authorize"),
        token_url: url("2/oauth2/token"),
        api_url: url("2"),
        revoke_url: None,
    };
    let timeouts = Timeouts {
        connect: Duration::from_secs(20),
        total: Duration::from_secs(30),
    };
    XTwitter::new(settings, Http::new(timeouts).unwrap()).unwrap()
}

/// Tokens of a test code of ada's.
async fn tokens(x_twitter: &XTwitter) -> Tokens {
    let grant = x_twitter.exchange(&request("test_code_ada")).await.unwrap();
    assert_eq!(grant.scopes, ["dm.read", "offline.access", "tweet.read", "users.read"]);
    grant.tokens.unwrap()
}

/// Posts an item that concerns ada.
fn post(simulator: &Handle, kind: PostKind, text: &str) {
    simulator.post(NewPost {
        login: "ada".to_owned(),
        kind,
        text: text.to_owned(),
        ..NewPost::default()
    });
}

#[tokio::test]
async fn items_after_the_first_sync_are_reported_once() {
    world(async |world| {
        let x_twitter = x_twitter(&world.simulator);
        let tokens = tokens(&x_twitter).await;
        post(&world.simulator, PostKind::Mention, "before");
        post(&world.simulator, PostKind::Message, "before");
        let first = x_twitter.sync(&tokens, None).await.unwrap();
        assert_eq!((first.profile.username.as_str(), first.notifications.len()), ("ada", 0));
        post(&world.simulator, PostKind::Mention, "you");
        post(&world.simulator, PostKind::Reply, "indeed");
        post(&world.simulator, PostKind::Message, "psst");
        let second = x_twitter.sync(&tokens, first.cursor.as_ref()).await.unwrap();
        let mut notifications: Vec<_> = second
            .notifications
            .iter()
            .map(|notification| (notification.content.as_str(), notification.kind))
            .collect();
        notifications.sort_by_key(|&(content, _)| content);
        assert_eq!(notifications, [("indeed", Reply), ("psst", Message), ("you", Mention)]);
        assert!(
            second
                .notifications
                .iter()
                .all(|notification| notification.sender == "grace"),
            "{:?}",
            second.notifications
        );
        let third = x_twitter.sync(&tokens, second.cursor.as_ref()).await.unwrap();
        assert_eq!((third.notifications, third.more), (Vec::new(), false));
    })
    .await;
}

#[tokio::test]
async fn busy_account_is_read_completely_in_pages() {
    world(async |world| {
        let x_twitter = x_twitter(&world.simulator);
        let tokens = tokens(&x_twitter).await;
        let mut page = x_twitter.sync(&tokens, None).await.unwrap();
        for number in 0..150 {
            post(&world.simulator, PostKind::Mention, &number.to_string());
        }
        page = x_twitter.sync(&tokens, page.cursor.as_ref()).await.unwrap();
        assert_eq!((page.notifications.len(), page.more), (100, true));
        let mut numbers: Vec<u32> = page
            .notifications
            .iter()
            .map(|notification| notification.content.parse().unwrap())
            .collect();
        post(&world.simulator, PostKind::Mention, "150");
        page = x_twitter.sync(&tokens, page.cursor.as_ref()).await.unwrap();
        assert_eq!((page.notifications.len(), page.more), (50, false));
        numbers.extend(
            page.notifications
                .iter()
                .map(|notification| notification.content.parse::<u32>().unwrap()),
        );
        page = x_twitter.sync(&tokens, page.cursor.as_ref()).await.unwrap();
        numbers.extend(
            page.notifications
                .iter()
                .map(|notification| notification.content.parse::<u32>().unwrap()),
        );
        numbers.sort_unstable();
        assert_eq!(numbers, (0..=150).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test]
async fn refresh_rotates_the_token_and_a_spent_one_is_refused() {
    world(async |world| {
        let x_twitter = x_twitter(&world.simulator);
        let first = tokens(&x_twitter).await.refresh.unwrap();
        let second = x_twitter.refresh(&first).await.unwrap().tokens.unwrap();
        x_twitter.profile(&second).await.unwrap();
        let error = x_twitter.refresh(&first).await.unwrap_err();
        assert!(matches!(error, RefreshError::Refused(_)), "{error:?}");
        assert_no_secret(&error, &[first.expose()]);
    })
    .await;
}

#[tokio::test]
async fn throttled_read_reports_the_wait() {
    world(async |world| {
        let x_twitter = x_twitter(&world.simulator);
        let tokens = tokens(&x_twitter).await;
        for limit in [Limit::Primary, Limit::Secondary] {
            let kind = Kind::Throttle { limit, seconds: 300 };
            world.simulator.fault(Fault::once(AtX, Route::Notifications, kind));
            let error = x_twitter.sync(&tokens, None).await.unwrap_err();
            let ApiError::Throttled { wait, .. } = error else {
                panic!("{error:?}");
            };
            // Its clock has whole seconds.
            assert!((290..=301).contains(&wait.as_secs()), "{wait:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn revocation_ends_each_token_and_reports_an_unknown_one() {
    world(async |world| {
        let x_twitter = x_twitter(&world.simulator);
        let tokens = tokens(&x_twitter).await;
        let refresh = tokens.refresh.unwrap();
        assert_eq!(x_twitter.revocation(RevocationScope::Token), RevocationPlan::EachToken);
        assert_eq!(
            x_twitter.revoke(&refresh, RevocationScope::Grant).await.unwrap(),
            RevokeOutcome::Ended
        );
        let error = x_twitter.refresh(&refresh).await.unwrap_err();
        assert!(matches!(error, RefreshError::Refused(_)), "{error:?}");
        let again = x_twitter.revoke(&refresh, RevocationScope::Grant).await.unwrap();
        assert_eq!(again, RevokeOutcome::UnknownToken);
        assert_eq!(world.simulator.snapshot().grants.len(), 1, "the access token is good");
        assert_eq!(
            x_twitter.revoke(&tokens.access, RevocationScope::Grant).await.unwrap(),
            RevokeOutcome::Ended
        );
        assert!(world.simulator.snapshot().grants.is_empty());
    })
    .await;
}
