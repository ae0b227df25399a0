//! GitHub's API behind a token: profile, notifications, limits.

use http::{HeaderName, StatusCode, header};
use simulator::{Fault, Kind, Limit, NewNotification, Platform::Github, Route};

use crate::client::{Answer, Client, simulate};

const USER: &str = "/github/api/user";
const NOTIFICATIONS: &str = "/github/api/notifications";

async fn as_ada(client: &Client, path: &str, more: &[(HeaderName, &str)]) -> Answer {
    let bearer = client.bearer("ada").await;
    let mut headers = vec![(header::AUTHORIZATION, bearer.as_str())];
    headers.extend_from_slice(more);
    client.get(path, &headers).await
}

fn mention(title: &str) -> NewNotification {
    NewNotification {
        login: "ada".into(),
        title: title.into(),
        ..NewNotification::default()
    }
}

fn titles(answer: &Answer) -> Vec<String> {
    let list = answer.json();
    list.as_array()
        .unwrap()
        .iter()
        .map(|item| item["subject"]["title"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn profile_has_a_stable_id_and_reports_the_scopes() {
    simulate(async |client| {
        let (one, two) = (as_ada(&client, USER, &[]).await, as_ada(&client, USER, &[]).await);
        assert_eq!(one.header("x-oauth-scopes"), "notifications, read:user");
        assert!(one.json()["id"].is_u64());
        assert_eq!(one.json(), two.json());
        let other = client.bearer("bob").await;
        let bob = client.get(USER, &[(header::AUTHORIZATION, &other)]).await;
        assert_ne!(bob.json()["id"], one.json()["id"]);
    })
    .await;
}

#[tokio::test]
async fn request_without_a_valid_token_is_unauthorized() {
    simulate(async |client| {
        let nothing = client.get(USER, &[]).await;
        assert_eq!(
            (nothing.status, &nothing.json()["message"]),
            (StatusCode::UNAUTHORIZED, &"Requires authentication".into())
        );
        let wrong = client
            .get(NOTIFICATIONS, &[(header::AUTHORIZATION, "Bearer gho_nonsense")])
            .await;
        assert_eq!(
            (wrong.status, &wrong.json()["message"]),
            (StatusCode::UNAUTHORIZED, &"Bad credentials".into())
        );
        assert_eq!(wrong.header("x-ratelimit-limit"), "60");
    })
    .await;
}

#[tokio::test]
async fn deauthorized_application_loses_its_token() {
    simulate(async |client| {
        let bearer = client.bearer("ada").await;
        assert_eq!(client.handle.deauthorize(Github, "ada"), 1);
        let answer = client.get(USER, &[(header::AUTHORIZATION, &bearer)]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    })
    .await;
}

#[tokio::test]
async fn request_without_a_user_agent_is_forbidden() {
    simulate(async |client| {
        let answer = as_ada(&client, USER, &[(header::USER_AGENT, "")]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.json()["message"].as_str().unwrap().contains("User-Agent"));
    })
    .await;
}

#[tokio::test]
async fn every_answer_counts_against_the_limit_of_its_account() {
    simulate(async |client| {
        let first = as_ada(&client, USER, &[]).await;
        let second = as_ada(&client, NOTIFICATIONS, &[]).await;
        assert_eq!(
            (first.header("x-ratelimit-used"), second.header("x-ratelimit-used")),
            ("1", "2")
        );
        assert_eq!(
            (
                second.header("x-ratelimit-limit"),
                second.header("x-ratelimit-remaining")
            ),
            ("5000", "4998")
        );
        assert!(second.header("x-ratelimit-reset").parse::<u64>().is_ok());
        assert_eq!(second.header("x-ratelimit-resource"), "core");
    })
    .await;
}

#[tokio::test]
async fn an_unchanged_inbox_is_304_and_costs_nothing() {
    simulate(async |client| {
        client.handle.notify(mention("one"));
        let first = as_ada(&client, NOTIFICATIONS, &[]).await;
        assert_eq!(first.header("x-poll-interval"), "60");
        let validator = first.header("last-modified");
        let second = as_ada(&client, NOTIFICATIONS, &[(header::IF_MODIFIED_SINCE, validator)]).await;
        assert_eq!((second.status, second.body.len()), (StatusCode::NOT_MODIFIED, 0));
        assert_eq!(second.header("x-poll-interval"), "60");
        assert_eq!(second.header("x-ratelimit-used"), first.header("x-ratelimit-used"));
        assert_eq!(second.header("last-modified"), validator);
    })
    .await;
}

#[tokio::test]
async fn a_change_within_the_same_second_makes_a_new_validator() {
    simulate(async |client| {
        client.handle.notify(mention("one"));
        let first = as_ada(&client, NOTIFICATIONS, &[]).await;
        client.handle.notify(mention("two"));
        let second = as_ada(
            &client,
            NOTIFICATIONS,
            &[(header::IF_MODIFIED_SINCE, first.header("last-modified"))],
        )
        .await;
        assert_eq!(
            (second.status, titles(&second)),
            (StatusCode::OK, vec!["two".to_owned(), "one".to_owned()])
        );
    })
    .await;
}

#[tokio::test]
async fn a_notification_is_written_as_documented() {
    simulate(async |client| {
        let issued = client.handle.notify(mention("Look at this"));
        let list = as_ada(&client, NOTIFICATIONS, &[]).await.json();
        let item = &list[0];
        assert_eq!(item["id"], issued.thread.to_string(), "the id is a string");
        assert_eq!(item["updated_at"], issued.updated_at);
        assert_eq!((&item["unread"], &item["reason"]), (&true.into(), &"mention".into()));
        assert_eq!(
            (&item["subject"]["title"], &item["subject"]["type"]),
            (&"Look at this".into(), &"Issue".into())
        );
        assert_eq!(item["repository"]["full_name"], "octo-org/octo-repo");
        assert!(item["last_read_at"].is_null());
    })
    .await;
}

#[tokio::test]
async fn inbox_lists_a_thread_once_with_its_newest_event() {
    simulate(async |client| {
        let first = client.handle.notify(mention("one"));
        let again = client.handle.notify(NewNotification {
            thread: Some(first.thread),
            ..mention("one, again")
        });
        assert_eq!(titles(&as_ada(&client, NOTIFICATIONS, &[]).await), ["one, again"]);
        assert!(again.updated_at > first.updated_at);
    })
    .await;
}

#[tokio::test]
async fn the_query_filters_the_list() {
    simulate(async |client| {
        let first = client.handle.notify(mention("first"));
        client.handle.notify(NewNotification {
            reason: "subscribed".into(),
            ..mention("watched")
        });
        client.handle.notify(NewNotification {
            unread: false,
            ..mention("read")
        });
        let list = async |query: &str| titles(&as_ada(&client, &format!("{NOTIFICATIONS}?{query}"), &[]).await);
        assert_eq!(list("").await, ["watched", "first"], "only what is unread");
        assert_eq!(list("all=true").await, ["read", "watched", "first"]);
        assert_eq!(list("participating=true").await, ["first"]);
        assert_eq!(list(&format!("since={}", first.updated_at)).await, ["watched"]);
        assert_eq!(list(&format!("all=true&before={}", first.updated_at)).await, [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn pages_are_linked() {
    simulate(async |client| {
        for number in 1..=5 {
            client.handle.notify(mention(&number.to_string()));
        }
        let first = as_ada(&client, &format!("{NOTIFICATIONS}?per_page=2"), &[]).await;
        assert_eq!(titles(&first), ["5", "4"]);
        let link = first.header("link");
        assert!(
            link.contains("per_page=2&page=2>; rel=\"next\"") && link.contains("page=3>; rel=\"last\""),
            "{link}"
        );
        let last = as_ada(&client, &format!("{NOTIFICATIONS}?per_page=2&page=3"), &[]).await;
        assert_eq!(titles(&last), ["1"]);
        let link = last.header("link");
        assert!(
            link.contains("page=2>; rel=\"prev\"") && !link.contains("rel=\"next\""),
            "{link}"
        );
        let all = as_ada(&client, NOTIFICATIONS, &[]).await;
        assert!(!all.headers.contains_key("link"), "one page has no links");
    })
    .await;
}

#[tokio::test]
async fn a_query_that_makes_no_sense_is_422() {
    simulate(async |client| {
        for query in [
            "per_page=51",
            "per_page=0",
            "page=0",
            "page=x",
            "since=yesterday",
            "all=maybe",
        ] {
            let answer = as_ada(&client, &format!("{NOTIFICATIONS}?{query}"), &[]).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn notifications_want_their_scope() {
    simulate(async |client| {
        let page = format!(
            "/github/login/oauth/authorize?client_id={}&scope=read:user&login=ada&redirect_uri=https://app.example/",
            simulator::CLIENT_ID
        );
        let code = client.get(&page, &[]).await.location()["code"].clone();
        let token = client.exchange(&code, &[]).await;
        let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
        let answer = client.get(NOTIFICATIONS, &[(header::AUTHORIZATION, &bearer)]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert_eq!(answer.header("x-accepted-oauth-scopes"), "notifications, repo");
        assert!(!answer.headers.contains_key("retry-after") && answer.header("x-ratelimit-remaining") != "0");
    })
    .await;
}

#[tokio::test]
async fn primary_limit_reports_its_reset_and_secondary_limit_the_seconds_to_wait() {
    simulate(async |client| {
        let throttle = |limit| Fault::once(Github, Route::Profile, Kind::Throttle { limit, seconds: 30 });
        client.handle.fault(throttle(Limit::Primary));
        client.handle.fault(throttle(Limit::Secondary));
        let primary = as_ada(&client, USER, &[]).await;
        assert_eq!(
            (primary.status, primary.header("x-ratelimit-remaining")),
            (StatusCode::FORBIDDEN, "0")
        );
        assert!(!primary.headers.contains_key("retry-after"));
        let secondary = as_ada(&client, USER, &[]).await;
        assert_eq!(
            (secondary.status, secondary.header("retry-after")),
            (StatusCode::FORBIDDEN, "30")
        );
        assert_ne!(secondary.header("x-ratelimit-remaining"), "0");
    })
    .await;
}

#[tokio::test]
async fn an_unknown_path_is_githubs_404() {
    simulate(async |client| {
        let answer = client.get("/github/api/nothing", &[]).await;
        assert_eq!(
            (answer.status, &answer.json()["message"]),
            (StatusCode::NOT_FOUND, &"Not Found".into())
        );
    })
    .await;
}
