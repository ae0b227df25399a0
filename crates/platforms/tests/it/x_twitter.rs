//! X: tokens that rotate, posts and messages that are news once, and a token that ends when it is given back.

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

use crate::world::{request, silent, world};

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

/// What a test code of ada's brings.
async fn tokens(x_twitter: &XTwitter) -> Tokens {
    let grant = x_twitter.exchange(&request("test_code_ada")).await.unwrap();
    assert_eq!(grant.scopes, ["dm.read", "offline.access", "tweet.read", "users.read"]);
    grant.tokens.unwrap()
}

/// Something for ada.
fn post(simulator: &Handle, kind: PostKind, text: &str) {
    simulator.post(NewPost {
        login: "ada".to_owned(),
        kind,
        text: text.to_owned(),
        ..NewPost::default()
    });
}

#[tokio::test]
async fn what_comes_after_the_first_look_is_news_once() {
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
async fn a_busy_account_is_read_page_by_page_and_nothing_is_left_out() {
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
async fn a_refresh_rotates_and_a_spent_token_is_refused() {
    world(async |world| {
        let x_twitter = x_twitter(&world.simulator);
        let first = tokens(&x_twitter).await.refresh.unwrap();
        let second = x_twitter.refresh(&first).await.unwrap().tokens.unwrap();
        x_twitter.profile(&second).await.unwrap();
        let error = x_twitter.refresh(&first).await.unwrap_err();
        assert!(matches!(error, RefreshError::Refused(_)), "{error:?}");
        silent(&error, &[first.expose()]);
    })
    .await;
}

#[tokio::test]
async fn a_throttled_look_says_how_long_to_wait() {
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
async fn each_token_ends_when_it_is_given_back_and_a_dead_one_is_not_known() {
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
