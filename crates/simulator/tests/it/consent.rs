//! Consent page of every platform: its content, its form, and the forms that it refuses.

use data_encoding::BASE64;
use http::{StatusCode, header};
use simulator::{CLIENT_ID, CLIENT_SECRET, Fault, Kind, Platform, Route};
use url::form_urlencoded::Serializer;

use crate::client::{Answer, Client, simulate};

/// Authorize endpoint, the title of its page, and the parameters of a user's refusal.
type Endpoint = (
    Platform,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const ENDPOINTS: [Endpoint; 4] = [
    (
        Platform::Github,
        "/github/login/oauth/authorize",
        "Simulated GitHub",
        &[
            ("error", "access_denied"),
            ("error_description", "The user has denied your application access."),
        ],
    ),
    (
        Platform::Discord,
        "/discord/oauth2/authorize",
        "Simulated Discord",
        &[
            ("error", "access_denied"),
            (
                "error_description",
                "The resource owner or authorization server denied the request",
            ),
        ],
    ),
    (
        Platform::XTwitter,
        "/x_twitter/i/oauth2/authorize",
        "Simulated X",
        &[("error", "access_denied")],
    ),
    (
        Platform::Telegram,
        "/telegram/auth",
        "Simulated Telegram",
        &[("error", "access_denied")],
    ),
];

const BACK: &str = "http://127.0.0.1:3000/callback";

/// Authorization request that every platform accepts.
fn request(endpoint: &str, state: &str) -> String {
    let query = Serializer::new(String::new())
        .extend_pairs([
            ("client_id", CLIENT_ID),
            ("redirect_uri", BACK),
            ("response_type", "code"),
            ("scope", "first-scope second-scope"),
            ("state", state),
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            ("code_challenge_method", "S256"),
        ])
        .finish();
    format!("{endpoint}?{query}")
}

/// Exchanges a code of such a request.
async fn exchange(client: &Client, platform: Platform, code: &str) {
    let endpoint = match platform {
        Platform::Github => "/github/login/oauth/access_token",
        Platform::Discord => "/discord/api/oauth2/token",
        Platform::XTwitter => "/x_twitter/2/oauth2/token",
        Platform::Telegram => "/telegram/token",
    };
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", BACK),
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
    ];
    let basic = BASE64.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}").as_bytes());
    let authorization = (header::AUTHORIZATION, format!("Basic {basic}"));
    let answer = client
        .post(endpoint, &form, &[(authorization.0, &authorization.1)])
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
}

/// Browser with the page of one request open.
pub(crate) struct Page {
    path: String,
    pub(crate) answer: Answer,
    cookie: String,
    token: String,
}

impl Page {
    pub(crate) async fn open(client: &Client, path: &str) -> Self {
        let answer = client.get(path, &[]).await;
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        let text = answer.text();
        let token = text.split("name=\"token\" value=\"").nth(1).unwrap();
        let token = token.split('"').next().unwrap().to_owned();
        Self {
            path: path.to_owned(),
            answer,
            cookie,
            token,
        }
    }

    pub(crate) async fn send(&self, client: &Client, field: (&str, &str)) -> Answer {
        let cookie = (header::COOKIE, self.cookie.as_str());
        client
            .post(&self.path, &[("token", &self.token), field], &[cookie])
            .await
    }
}

#[tokio::test]
async fn page_shows_the_request_and_several_accounts_and_runs_no_script() {
    simulate(async |client| {
        for (_, endpoint, title, _) in ENDPOINTS {
            let page = Page::open(&client, &request(endpoint, "s-1")).await;
            let text = page.answer.text();
            assert_eq!(page.answer.status, StatusCode::OK);
            let shown = [
                title,
                CLIENT_ID,
                "first-scope",
                "second-scope",
                "127.0.0.1:3000",
                "Continue as octocat",
                "Continue as ada",
                "ada (simulated)",
                "Deny",
            ];
            for shown in shown {
                assert!(text.contains(shown), "{endpoint}: {shown} in {text}");
            }
            for foreign in ["<script", "style=\"", "http://", "https://", "javascript:"] {
                assert!(!text.contains(foreign), "{endpoint}: {foreign} in {text}");
            }
            let policy = page.answer.header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
            assert!(
                policy.ends_with(
                    "img-src 'self'; form-action 'self' http://127.0.0.1:3000; base-uri 'none'; frame-ancestors 'none'"
                ),
                "{policy}"
            );
            let cookie = page.answer.header("set-cookie");
            assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");
        }
    })
    .await;
}

#[tokio::test]
async fn chosen_login_is_the_account_of_the_code() {
    simulate(async |client| {
        for (platform, endpoint, ..) in ENDPOINTS {
            for login in ["ada", "someone else"] {
                let page = Page::open(&client, &request(endpoint, "s-1")).await;
                let answer = page.send(&client, ("login", login)).await;
                assert_eq!(answer.status, StatusCode::SEE_OTHER, "{endpoint}: {}", answer.text());
                let back = answer.location();
                assert_eq!(back["state"], "s-1");
                assert_eq!(back.contains_key("iss"), platform == Platform::Github);
                exchange(&client, platform, &back["code"]).await;
                assert_eq!(client.handle.snapshot().tokens.last().unwrap().login, login);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn denied_request_redirects_with_the_platforms_error() {
    simulate(async |client| {
        for (platform, endpoint, _, error) in ENDPOINTS {
            let expected = |answer: &Answer| {
                let mut back = answer.location();
                back.remove("iss");
                assert_eq!(back.remove("state").as_deref(), Some("s-1"));
                assert_eq!(back.len(), error.len(), "{endpoint}: {back:?}");
                for (name, value) in error {
                    assert_eq!(back[*name], *value, "{endpoint}");
                }
            };
            let page = Page::open(&client, &request(endpoint, "s-1")).await;
            expected(&page.send(&client, ("deny", "1")).await);
            client.handle.fault(Fault::once(platform, Route::Authorize, Kind::Deny));
            expected(&client.get(&request(endpoint, "s-1"), &[]).await);
        }
    })
    .await;
}

#[tokio::test]
async fn submission_is_refused_without_the_cookie_and_the_token_of_its_request() {
    simulate(async |client| {
        for (_, endpoint, ..) in ENDPOINTS {
            let page = Page::open(&client, &request(endpoint, "s-1")).await;
            let other = Page::open(&client, &request(endpoint, "s-2")).await;
            let with = |cookie: &str, token: &str| Page {
                path: page.path.clone(),
                answer: page.answer.clone(),
                cookie: cookie.to_owned(),
                token: token.to_owned(),
            };
            for forged in [
                with("", &page.token),
                with("postern-simulator=", &page.token),
                with(&page.cookie, ""),
                with(&page.cookie, "00"),
                with(&other.cookie, &page.token),
                with(&page.cookie, &other.token),
                with(&other.cookie, &other.token),
            ] {
                for field in [("login", "ada"), ("deny", "1")] {
                    let answer = forged.send(&client, field).await;
                    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text());
                    assert!(!answer.headers.contains_key("location"));
                }
            }
            let nobody = page.send(&client, ("login", " ")).await;
            assert_eq!(nobody.status, StatusCode::BAD_REQUEST);
            let own = page.send(&client, ("login", "ada")).await;
            assert_eq!(own.status, StatusCode::SEE_OTHER);
        }
    })
    .await;
}

#[tokio::test]
async fn second_page_of_a_browser_leaves_the_first_one_usable() {
    simulate(async |client| {
        let (_, endpoint, ..) = ENDPOINTS[0];
        let first = Page::open(&client, &request(endpoint, "s-1")).await;
        let again = client
            .get(&request(endpoint, "s-2"), &[(header::COOKIE, &first.cookie)])
            .await;
        assert!(again.header("set-cookie").starts_with(&first.cookie));
        let answer = first.send(&client, ("login", "ada")).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
    })
    .await;
}

#[tokio::test]
async fn hostile_request_is_shown_as_text_or_refused() {
    simulate(async |client| {
        let hostile = "\"><script>alert(1)</script>";
        for (_, endpoint, ..) in ENDPOINTS {
            let query = |changed: &str, value: &str| {
                let path = request(endpoint, "s-1");
                let (path, query) = path.split_once('?').unwrap();
                let pairs = url::form_urlencoded::parse(query.as_bytes());
                let pairs = pairs.map(|(name, old)| match name == changed {
                    true => (name, value.to_owned()),
                    false => (name, old.into_owned()),
                });
                let query = Serializer::new(String::new()).extend_pairs(pairs).finish();
                format!("{path}?{query}")
            };
            let page = client.get(&query("scope", hostile), &[]).await;
            assert_eq!(page.status, StatusCode::OK);
            assert!(!page.text().contains("<script"), "{}", page.text());
            assert!(page.text().contains("&lt;script&gt;"), "{}", page.text());
            for redirect in [
                "javascript:alert(1)",
                "data:text/html,x",
                "http://app.example/",
                hostile,
                "",
            ] {
                let refused = client.get(&query("redirect_uri", redirect), &[]).await;
                assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{endpoint}: {redirect}");
                assert!(!refused.text().contains("alert(1)"));
            }
            let refused = client.get(&query("client_id", hostile), &[]).await;
            assert!(refused.status.is_client_error() && !refused.text().contains("alert(1)"));
        }
    })
    .await;
}
