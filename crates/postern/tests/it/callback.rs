//! Hosted callback: a browser, the page, its button, and their failures.

use serde_json::{Value, json};
use testkit::client::http::{Request, Response};
use testkit::client::{Endpoint, Native, SocketIo};
use testkit::cluster::Cluster;
use testkit::token::claims;
use testkit::wait;

use crate::command_line::Dev;
use crate::stage::{POSTERN, Platforms, client, visit};

/// Public URL of a cluster, for browsers.
pub(crate) const PUBLIC_URL: &str = "https://postern.example";

/// A cluster with a public URL.
pub(crate) async fn hosted(platforms: &Platforms) -> Cluster {
    let builder = Cluster::builder(POSTERN).worker_env("POSTERN_PUBLIC_URL", PUBLIC_URL);
    let cluster = platforms.linked_to(builder).start().await;
    cluster.canary(simulator::CLIENT_SECRET);
    cluster
}

/// Starts an authorization at GitHub; returns path and query of the redirect of this account's browser.
pub(crate) async fn sent_back(platforms: &Platforms, asker: &SocketIo, login: &str) -> String {
    sent_back_from(platforms, asker, "github", login).await
}

async fn sent_back_from(platforms: &Platforms, asker: &SocketIo, account: &str, login: &str) -> String {
    let asked = json!({"accountType": account, "redirectUri": format!("{PUBLIC_URL}/oauth/callback/{account}")});
    let authorized = asker.emit_with_ack("account:authorize", asked).await;
    assert_eq!(authorized["success"], true, "{authorized}");
    let url = authorized["authorizationUrl"].as_str().unwrap();
    let back = visit(platforms.handle.url(), url, login).await;
    back.strip_prefix(PUBLIC_URL).unwrap().to_owned()
}

/// Links ada's account as her browser does, over two gateways; returns the answer to the requesting session.
pub(crate) async fn link_by_page(cluster: &Cluster, platforms: &Platforms, asker: &SocketIo, account: &str) -> Value {
    let path = sent_back_from(platforms, asker, account, "ada").await;
    let (browser, page) = Browser::open(&cluster.endpoint(1), &path).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let linked = browser
        .press_at(&cluster.endpoint(0), &format!("/oauth/callback/{account}"))
        .await;
    assert_eq!(linked.status, 200, "{}", linked.text());
    asker.next_event("account:connect_response").await.data
}

/// State of a browser: a cookie, and the page's token.
#[derive(Debug, Clone, Default)]
pub(crate) struct Browser {
    pub(crate) cookie: String,
    pub(crate) token: String,
}

impl Browser {
    /// Follows the platform's redirect.
    pub(crate) async fn open(endpoint: &Endpoint, path: &str) -> (Self, Response) {
        let page = endpoint.http(&Request::get(path)).await.unwrap();
        let set = page.header("set-cookie");
        let browser = Self {
            cookie: set.split(';').next().unwrap_or_default().to_owned(),
            token: field(&page.text(), "name=\"token\" value=\""),
        };
        (browser, page)
    }

    /// Presses the button.
    pub(crate) async fn press(&self, endpoint: &Endpoint) -> Response {
        self.press_at(endpoint, "/oauth/callback/github").await
    }

    async fn press_at(&self, endpoint: &Endpoint, path: &str) -> Response {
        let mut request = Request::new("POST", path)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(format!("token={}", self.token));
        if !self.cookie.is_empty() {
            request = request.header("Cookie", &self.cookie);
        }
        endpoint.http(&request).await.unwrap()
    }

    /// The secret in the cookie.
    fn secret(&self) -> &str {
        let (_, secret) = self.cookie.split_once('=').unwrap();
        secret
    }

    /// The same browser with another value in its cookie.
    fn with(&self, value: &str) -> Self {
        let (name, _) = self.cookie.split_once('=').unwrap();
        Self {
            cookie: format!("{name}={value}"),
            ..self.clone()
        }
    }
}

/// The text after this mark, up to the next quote.
fn field(page: &str, mark: &str) -> String {
    let rest = page.split_once(mark).map_or("", |(_, rest)| rest);
    rest.split('"').next().unwrap().to_owned()
}

/// Watches logs and databases for every secret of a flow.
fn watch(cluster: &Cluster, platforms: &Platforms, path: &str, browser: &Browser) {
    for pair in path.split(['?', '&']) {
        if let Some(secret) = pair.strip_prefix("code=").or_else(|| pair.strip_prefix("state=")) {
            cluster.canary(secret);
        }
    }
    cluster.canary(&browser.token);
    cluster.canary(&browser.cookie);
    cluster.canary(browser.secret());
    for issued in platforms.handle.snapshot().tokens {
        cluster.canary(&issued.access_token);
    }
}

async fn accounts(client: &SocketIo) -> Value {
    client.emit_with_ack("account:list", json!({})).await["accounts"].clone()
}

#[tokio::test]
async fn button_links_and_answers_every_socket_of_the_requesting_session() {
    let platforms = Platforms::start().await;
    let cluster = hosted(&platforms).await;
    let asker = client(&cluster, 0, "GEN-001").await;
    let second = Native::connect(&cluster.endpoint(1), &cluster.token("GEN-001"))
        .await
        .unwrap();
    let mut elsewhere = claims("GEN-001", std::time::Duration::from_secs(3_600));
    elsewhere["sid"] = json!("another session");
    let other_session = SocketIo::connect(&cluster.endpoint(1), &cluster.token_with(&elsewhere))
        .await
        .unwrap();

    let path = sent_back(&platforms, &asker, "ada").await;
    let (browser, page) = Browser::open(&cluster.endpoint(1), &path).await;
    assert_eq!(page.status, 200, "{}", page.text());
    watch(&cluster, &platforms, &path, &browser);
    let text = page.text();
    for named in ["GEN-001", "ada", "GitHub", "did somebody send you"] {
        assert!(text.contains(named), "{named} in {text}");
    }
    for foreign in ["<script", "http://", "https://", "src=", browser.secret()] {
        assert!(!text.contains(foreign), "{foreign} in {text}");
    }
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("content-type", "text/html; charset=utf-8"),
    ] {
        assert_eq!(page.header(name), value);
    }
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    let set = page.header("set-cookie");
    assert!(set.starts_with("__Host-postern-github="), "{set}");
    assert!(
        set.ends_with("; Path=/; Max-Age=300; Secure; HttpOnly; SameSite=Strict"),
        "{set}"
    );
    assert_eq!(accounts(&asker).await, json!([]));

    // The gateways share no state with each other, nor any about the page.
    let linked = browser.press(&cluster.endpoint(0)).await;
    assert_eq!(linked.status, 200, "{}", linked.text());
    assert!(linked.text().contains("is linked to the user"), "{}", linked.text());
    assert!(linked.header("set-cookie").contains("Max-Age=0"));
    for socket in [&*asker, &*second] {
        let answer = socket.next_event("account:connect_response").await;
        assert_eq!(
            (&answer.data["success"], &answer.data["account"]["username"]),
            (&json!(true), &json!("ada"))
        );
        assert_eq!(answer.offset, None);
        assert_eq!(socket.next_event("security:alert").await.data["type"], "account_linked");
    }
    let alert = other_session.next_event("security:alert").await.data;
    assert_eq!(alert["type"], "account_linked");
    let status = other_session.next_event("account:status_changed").await.data;
    assert_eq!(status["status"], "connected");
    assert_eq!(accounts(&asker).await[0]["username"], "ada");

    let reopened = cluster.endpoint(0).http(&Request::get(&path)).await.unwrap();
    assert_eq!((reopened.status, reopened.header("set-cookie")), (400, ""));
    let pressed_again = browser.press(&cluster.endpoint(1)).await;
    assert_eq!(pressed_again.status, 400, "{}", pressed_again.text());
    let code = field(&format!("{}\"", path.replace('&', "\"")), "code=");
    assert_eq!(platforms.exchanges(&code), 1);
    let sync = json!({"userId": "GEN-001", "accountType": "github"});
    let synced = asker.emit_with_ack("account:sync", sync).await;
    assert_eq!(synced["success"], true, "the grant is as it was: {synced}");
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn without_the_page_its_cookie_and_its_user_the_button_does_nothing() {
    let platforms = Platforms::start().await;
    let cluster = hosted(&platforms).await;
    let asker = client(&cluster, 0, "GEN-001").await;
    let stranger = client(&cluster, 1, "GEN-002").await;
    let endpoint = cluster.endpoint(0);
    let path = sent_back(&platforms, &asker, "ada").await;
    let (browser, _) = Browser::open(&endpoint, &path).await;
    watch(&cluster, &platforms, &path, &browser);
    // A page of another flow: its token and its cookie are valid, for that flow.
    let path = sent_back(&platforms, &stranger, "eve").await;
    let (of_stranger, _) = Browser::open(&endpoint, &path).await;

    let without = |browser: Browser| Browser {
        cookie: String::new(),
        ..browser
    };
    let with_token = |token: &str| Browser {
        token: token.to_owned(),
        ..browser.clone()
    };
    let crossed = Browser {
        cookie: of_stranger.cookie.clone(),
        ..browser.clone()
    };
    for wrong in [
        without(browser.clone()),
        with_token(""),
        with_token("wrong"),
        with_token(&of_stranger.token),
        crossed,
        browser.with("wrong"),
        browser.with(&browser.token),
    ] {
        let refused = wrong.press(&endpoint).await;
        assert_eq!(refused.status, 400, "{wrong:?}: {}", refused.text());
    }
    let elsewhere = browser.press_at(&endpoint, "/oauth/callback/discord").await;
    assert_eq!(elsewhere.status, 400, "{}", elsewhere.text());
    assert_eq!(
        (accounts(&asker).await, accounts(&stranger).await),
        (json!([]), json!([]))
    );

    let linked = browser.press(&endpoint).await;
    assert_eq!(linked.status, 200, "{}", linked.text());
    assert_eq!(accounts(&asker).await[0]["username"], "ada");
    assert_eq!(accounts(&stranger).await, json!([]));
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn invalid_callback_is_refused_on_a_page_and_reported_to_its_session() {
    let platforms = Platforms::start().await;
    let cluster = hosted(&platforms).await;
    let asker = client(&cluster, 0, "GEN-001").await;
    let endpoint = cluster.endpoint(0);
    let get = async |path: &str| endpoint.http(&Request::get(path)).await.unwrap();

    for (path, status) in [
        ("/oauth/callback/myspace?code=a&state=b", 404),
        ("/oauth/callback/github", 400),
        ("/oauth/callback/github?code=a", 400),
        ("/oauth/callback/github?code=a&state=never-issued", 400),
        (
            "/oauth/callback/github?code=a&state=%3Cscript%3Ealert(1)%3C/script%3E",
            400,
        ),
    ] {
        let refused = get(path).await;
        assert_eq!(refused.status, status, "{path}");
        assert!(!refused.text().contains("alert(1)"), "{}", refused.text());
        assert_eq!(refused.header("set-cookie"), "");
    }
    let back = sent_back(&platforms, &asker, "ada").await;
    let looked = endpoint.http(&Request::new("HEAD", &back)).await.unwrap();
    assert_eq!(looked.status, 405, "a look uses nothing up");

    let mixed_up = back.replace("iss=", "iss=https%3A%2F%2Fevil.example%2F");
    let refused = get(&mixed_up).await;
    assert_eq!(refused.status, 400);
    let received = asker.next_event("account:connect_response").await.data;
    assert_eq!(
        (&received["success"], &received["error"]),
        (&json!(false), &json!("oauth_failed"))
    );
    assert_eq!(get(&back).await.status, 400, "the state is used up");

    let back = sent_back(&platforms, &asker, "ada").await;
    let elsewhere = get(&back.replace("/github?", "/discord?")).await;
    assert_eq!(elsewhere.status, 404, "{}", elsewhere.text());

    let back = sent_back(&platforms, &asker, "ada").await;
    let state = field(&format!("{}\"", back.replace('&', "\"")), "state=");
    let denied = get(&format!("/oauth/callback/github?error=access_denied&state={state}")).await;
    assert_eq!(denied.status, 403);
    assert!(denied.text().contains("denied at the platform"), "{}", denied.text());
    let received = asker.next_event("account:connect_response").await.data;
    assert_eq!(received["error"], "oauth_denied");
    let status = asker.next_event("account:status_changed").await.data;
    assert_eq!(status["status"], "error");

    assert!(platforms.handle.snapshot().tokens.is_empty(), "no code was sent");
    assert_eq!(accounts(&asker).await, json!([]));
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn unconfirmed_pending_link_is_revoked_even_after_its_worker_died() {
    let platforms = Platforms::start().await;
    let mut cluster = hosted(&platforms).await;
    let asker = client(&cluster, 0, "GEN-001").await;
    let path = sent_back(&platforms, &asker, "ada").await;
    let (browser, page) = Browser::open(&cluster.endpoint(0), &path).await;
    assert_eq!(page.status, 200, "{}", page.text());
    watch(&cluster, &platforms, &path, &browser);
    assert_eq!(platforms.handle.snapshot().tokens.len(), 1);

    cluster.worker(0).kill().await;
    cluster
        .schema()
        .sql("UPDATE pending_links SET expires_at = now()")
        .await;
    cluster.start_worker().await;
    wait::until_true("the grant to be given back", wait::deadline(), async || {
        platforms.handle.snapshot().tokens.is_empty()
    })
    .await;
    let late = browser.press(&cluster.endpoint(0)).await;
    assert_eq!(late.status, 400, "{}", late.text());
    assert_eq!(accounts(&asker).await, json!([]));
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn ended_session_completes_no_link() {
    let platforms = Platforms::start().await;
    let cluster = hosted(&platforms).await;
    let mut thief = claims("GEN-001", std::time::Duration::from_secs(3_600));
    thief["sid"] = json!("a stolen session");
    let thief = SocketIo::connect(&cluster.endpoint(0), &cluster.token_with(&thief))
        .await
        .unwrap();
    let owner = client(&cluster, 1, "GEN-001").await;
    let (open, pending) = (
        sent_back(&platforms, &thief, "eve").await,
        sent_back(&platforms, &thief, "eve").await,
    );
    let (browser, page) = Browser::open(&cluster.endpoint(0), &pending).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let ended = owner
        .emit_with_ack("security:end_sessions", json!({"sessionId": "others"}))
        .await;
    assert_eq!(ended["sessionsEnded"], 1, "{ended}");

    let (_, page) = Browser::open(&cluster.endpoint(0), &open).await;
    assert_eq!(page.status, 403, "{}", page.text());
    let pressed = browser.press(&cluster.endpoint(0)).await;
    assert_eq!(pressed.status, 403, "{}", pressed.text());
    assert_eq!(accounts(&owner).await, json!([]));
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn the_embedded_cluster_has_the_callback_at_its_first_gateway() {
    let dev = Dev::start(&[]).await;
    let (gateway, endpoint) = (dev.gateways().swap_remove(0), dev.endpoint());
    let asker = dev.client("GEN-001").await;
    let asked = json!({"accountType": "github", "redirectUri": format!("{gateway}/oauth/callback/github")});
    let authorized = asker.emit_with_ack("account:authorize", asked).await;
    let url = authorized["authorizationUrl"].as_str().unwrap();
    let back = visit(&dev.simulator(), url, "ada").await;

    let (browser, page) = Browser::open(&endpoint, back.strip_prefix(&gateway).unwrap()).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let linked = browser.press(&endpoint).await;
    assert_eq!(linked.status, 200, "{}", linked.text());
    let received = asker.next_event("account:connect_response").await.data;
    assert_eq!(received["account"]["username"], "ada");
    dev.stop().await;
}
