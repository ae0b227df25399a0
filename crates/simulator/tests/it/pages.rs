//! Index page, callback page, avatars, and the headers and refusals of every route.

use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use simulator::{Fault, Kind, Platform, Route};

use crate::client::{Client, simulate};
use crate::consent::Page;

/// Addresses in `href` and `src` attributes.
fn links(html: &str) -> Vec<String> {
    let of = |attribute: &str| {
        let mark = format!("{attribute}=\"");
        let parts: Vec<_> = html.split(mark.as_str()).skip(1).collect();
        let values = parts.into_iter().map(|rest| rest.split('"').next().unwrap());
        values.map(|value| value.replace("&amp;", "&")).collect::<Vec<_>>()
    };
    [of("href"), of("src")].concat()
}

#[tokio::test]
async fn every_link_and_picture_of_the_index_page_exists() {
    simulate(async |client| {
        let page = client.get("/", &[]).await;
        let links = links(&page.text());
        assert!(links.len() >= 5 + 16, "{links:?}");
        for link in links {
            assert_eq!(client.get(&link, &[]).await.status, StatusCode::OK, "{link}");
        }
        for policy in ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self' ;"] {
            let sent = page.header("content-security-policy");
            assert!(sent.contains(policy), "{policy} in {sent}");
        }
    })
    .await;
}

#[tokio::test]
async fn links_of_the_index_page_lead_to_a_page_that_shows_the_code() {
    simulate(async |client| {
        let page = client.get("/", &[]).await;
        let authorize: Vec<_> = links(&page.text())
            .into_iter()
            .filter(|link| link.contains("auth"))
            .collect();
        assert_eq!(authorize.len(), 5, "{authorize:?}");
        for link in authorize {
            let consent = Page::open(&client, &link).await;
            let answer = consent.send(&client, ("login", "ada")).await;
            let back = answer.header("location").strip_prefix(client.handle.url()).unwrap();
            let shown = client.get(back, &[]).await;
            assert_eq!(shown.status, StatusCode::OK, "{link}");
            let shown = shown.text();
            assert!(
                shown.contains("<code>code</code>") || shown.contains("<code>hash</code>"),
                "{shown}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn index_page_shows_the_current_state_as_text() {
    simulate(async |client| {
        let hostile = "<script>alert(1)</script>";
        client.exchange(&format!("test_code_{hostile}"), &[]).await;
        let body = Kind::Status {
            status: 500,
            headers: [].into(),
            body: hostile.to_owned(),
        };
        client.handle.fault(Fault::once(Platform::Github, Route::Profile, body));
        client.handle.single_use_test_codes(true);
        let text = client.get("/", &[]).await.text();
        for shown in ["&lt;script&gt;alert(1)", "used once", "&quot;status&quot;:500"] {
            assert!(text.contains(shown), "{shown} in {text}");
        }
        assert!(!text.contains("<script"), "{text}");
        let callback = client.get("/callback?a=%3Cscript%3E&%22=1", &[]).await.text();
        assert!(!callback.contains("<script") && callback.contains("&lt;script&gt;"));
    })
    .await;
}

#[tokio::test]
async fn profiles_point_to_pictures_that_exist() {
    simulate(async |client| {
        let bearer = client.bearer("ada").await;
        let profile = client
            .get("/github/api/user", &[(header::AUTHORIZATION, &bearer)])
            .await
            .json();
        let of_github = profile["avatar_url"].as_str().unwrap().to_owned();
        let of_x = x_profile(&client).await["profile_image_url"]
            .as_str()
            .unwrap()
            .to_owned();
        for avatar in [of_github, of_x] {
            let answer = client.get(avatar.strip_prefix(client.handle.url()).unwrap(), &[]).await;
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (StatusCode::OK, "image/svg+xml"),
                "{avatar}"
            );
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert_eq!(answer.header("cross-origin-resource-policy"), "cross-origin");
            assert!(answer.text().starts_with("<svg "));
        }
        for wrong in ["ada", "1.svg", "%3Csvg%3E", "123456789012345678901"] {
            let refused = client.get(&format!("/github/avatars/{wrong}"), &[]).await;
            assert_eq!(refused.status, StatusCode::NOT_FOUND, "{wrong}");
        }
    })
    .await;
}

/// Profile of ada at X, as Postern asks for it.
async fn x_profile(client: &Client) -> Value {
    let credentials = format!("{}:{}", simulator::CLIENT_ID, simulator::CLIENT_SECRET);
    let basic = format!("Basic {}", data_encoding::BASE64.encode(credentials.as_bytes()));
    let form = [("grant_type", "authorization_code"), ("code", "test_code_ada")];
    let token = client
        .post("/x_twitter/2/oauth2/token", &form, &[(header::AUTHORIZATION, &basic)])
        .await
        .json();
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
    let path = "/x_twitter/2/users/me?user.fields=profile_image_url";
    client.get(path, &[(header::AUTHORIZATION, &bearer)]).await.json()["data"].clone()
}

#[tokio::test]
async fn every_response_forbids_frames_and_sniffing() {
    simulate(async |client| {
        for path in [
            "/",
            "/callback",
            "/nothing",
            "/github/avatars/1",
            "/github/avatars/x",
            "/github/login/oauth/authorize",
            "/github/api/user",
            "/github/nothing",
            "/discord/oauth2/authorize?client_id=a&client_id=b",
            "/discord/api/v10/users/@me",
            "/x_twitter/i/oauth2/authorize",
            "/telegram/auth",
            "/telegram/auth?bot_id=1",
            "/telegram/nothing",
            "/_control/state",
            "/_control/nothing",
            "/_control/release",
        ] {
            let answer = client.get(path, &[]).await;
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
            assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
            let policy = answer.header("content-security-policy");
            assert!(policy.starts_with("default-src 'none';"), "{path}: {policy}");
            assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        }
    })
    .await;
}

#[tokio::test]
async fn pages_of_other_origins_change_nothing() {
    simulate(async |client| {
        let fault = json!({"platform": "github", "route": "profile", "kind": "garbage"});
        let from = async |method: Method, path: &str, origin: &str| {
            let headers = [(header::ORIGIN, origin)];
            client.json(method, path, &headers, &fault).await.status
        };
        for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
            let faults = from(Method::POST, "/_control/faults", origin).await;
            assert_eq!(faults, StatusCode::FORBIDDEN, "{origin}");
            let release = from(Method::POST, "/_control/release", origin).await;
            assert_eq!(release, StatusCode::FORBIDDEN, "{origin}");
        }
        assert!(client.handle.snapshot().faults.is_empty());
        let own = from(Method::POST, "/_control/faults", "http://127.0.0.1").await;
        assert_eq!(own, StatusCode::NO_CONTENT);
        let rebound = client.get("/_control/state", &[(header::HOST, "evil.example")]).await;
        assert_eq!(rebound.status, StatusCode::FORBIDDEN);
    })
    .await;
}
