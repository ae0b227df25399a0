//! Syncs of GitHub: each notification once, and none when nothing changed.

use std::time::Duration;

use platforms::{ApiError, Platform, SyncPage};
use serde_json::{Value, json};
use simulator::{CLIENT_ID, CLIENT_SECRET, Fault, Kind, NewNotification, Platform::Github as AtGithub, Route};

use crate::world::{World, assert_no_secret, unanswering, world};

fn mention(title: &str) -> NewNotification {
    NewNotification {
        login: "ada".into(),
        title: title.into(),
        ..NewNotification::default()
    }
}

async fn sync(world: &World, cursor: Option<&Value>) -> SyncPage {
    let tokens = world.tokens("ada").await;
    world.github.sync(&tokens, cursor).await.unwrap()
}

fn contents(page: &SyncPage) -> Vec<&str> {
    page.notifications
        .iter()
        .map(|notification| notification.content.as_str())
        .collect()
}

#[tokio::test]
async fn notifications_are_oldest_first_with_profile_and_scopes() {
    world(async |world| {
        let issued = world.simulator.notify(mention("one"));
        world.simulator.notify(NewNotification {
            reason: "subscribed".into(),
            ..mention("watched")
        });
        world.simulator.notify(NewNotification {
            reason: "review_requested".into(),
            ..mention("two")
        });
        let page = sync(&world, None).await;
        assert_eq!(contents(&page), ["one", "two"]);
        assert_eq!(page.profile.username, "ada");
        assert_eq!(
            page.scopes.as_deref(),
            Some(&["notifications".to_owned(), "read:user".to_owned()][..])
        );
        assert!(!page.more);
        let first = &page.notifications[0];
        assert_eq!(json!(first.at), json!(issued.updated_at.replace('Z', ".000Z")));
        assert_eq!(first.id, format!("{}@{}", issued.thread, first.at));
        assert_eq!(first.sender, "octo-org/octo-repo");
    })
    .await;
}

#[tokio::test]
async fn unchanged_inbox_is_not_listed_again() {
    world(async |world| {
        world.simulator.notify(mention("one"));
        let cursor = sync(&world, None).await.cursor.unwrap();
        let unchanged = sync(&world, Some(&cursor)).await;
        assert_eq!(unchanged.cursor, None, "a 304 changes nothing, so the old cursor stays");
        assert_eq!(
            unchanged.next_sync,
            Some(Duration::from_secs(60)),
            "reported with a 304 too"
        );
        assert!(unchanged.notifications.is_empty());
        world.simulator.notify(mention("two"));
        assert_eq!(contents(&sync(&world, Some(&cursor)).await), ["two"]);
    })
    .await;
}

#[tokio::test]
async fn thread_with_a_new_event_is_reported_under_a_new_id() {
    world(async |world| {
        let issued = world.simulator.notify(mention("one"));
        let first = sync(&world, None).await;
        world.simulator.notify(NewNotification {
            thread: Some(issued.thread),
            ..mention("one, again")
        });
        let second = sync(&world, first.cursor.as_ref()).await;
        assert_eq!(contents(&second), ["one, again"]);
        assert_ne!(first.notifications[0].id, second.notifications[0].id);
    })
    .await;
}

#[tokio::test]
async fn full_inbox_is_read_completely_in_pages() {
    world(async |world| {
        let titles: Vec<_> = (0..120).map(|number| number.to_string()).collect();
        for title in &titles {
            world.simulator.notify(mention(title));
        }
        let (mut cursor, mut contents, mut pages) = (None, Vec::new(), 0);
        loop {
            let page = sync(&world, cursor.as_ref()).await;
            contents.extend(
                page.notifications
                    .iter()
                    .map(|notification| notification.content.clone()),
            );
            (cursor, pages) = (page.cursor, pages + 1);
            if !page.more {
                break;
            }
        }
        contents.sort_by_key(|title| title.parse::<u32>().unwrap());
        assert_eq!((contents, pages), (titles, 3));
        assert!(
            sync(&world, cursor.as_ref()).await.cursor.is_none(),
            "what was read is not listed again"
        );
    })
    .await;
}

#[tokio::test]
async fn cursor_of_another_release_restarts_from_the_beginning() {
    world(async |world| {
        world.simulator.notify(mention("one"));
        assert_eq!(
            contents(&sync(&world, Some(&json!({"seen": "another shape"}))).await),
            ["one"]
        );
    })
    .await;
}

#[tokio::test]
async fn sync_without_the_notifications_scope_reads_the_profile_alone() {
    world(async |world| {
        let tokens = world.tokens("ada").await;
        let profile = json!({"id": 1, "login": "ada", "name": null, "avatar_url": null}).to_string();
        let headers = [("x-oauth-scopes".to_owned(), "read:user".to_owned())].into();
        world.fault(
            Route::Profile,
            Kind::Status {
                status: 200,
                headers,
                body: profile,
            },
        );
        let page = world.github.sync(&tokens, None).await.unwrap();
        assert_eq!((page.scopes, page.cursor), (Some(vec!["read:user".to_owned()]), None));
        assert_eq!(world.requests(Route::Notifications), 0);
    })
    .await;
}

#[tokio::test]
async fn failed_listing_fails_the_sync() {
    world(async |world| {
        let tokens = world.tokens("ada").await;
        for (kind, expected) in unanswering() {
            let github = world.faulty(Route::Notifications, &kind);
            // A smaller page is requested if one is too large.
            let fault = Fault::forever(AtGithub, Route::Notifications, kind.clone());
            world.simulator.fault(fault);
            let error = github.sync(&tokens, None).await.unwrap_err();
            let chain = assert_no_secret(&error, &[tokens.access.expose(), CLIENT_ID, CLIENT_SECRET]);
            assert!(
                matches!(error, ApiError::Unavailable(..)) && chain.contains(expected),
                "{kind:?}: {chain}"
            );
            world.simulator.clear_faults();
        }
        world.simulator.deauthorize(AtGithub, "ada");
        assert!(matches!(
            world.github.sync(&tokens, None).await,
            Err(ApiError::Refused(_))
        ));
    })
    .await;
}
