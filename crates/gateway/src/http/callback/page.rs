//! HTML pages of the callback, without scripts, images or external content. All inserted text is escaped.

use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};
use protocol::account::{AccountType, UserAccount};
use protocol::answer::Failure;
use protocol::cluster::callback::PendingLinkPage;
use protocol::code::ErrorCode;
use protocol::id::UserId;
use sha2::{Digest, Sha256};

use super::query::TOKEN;
use crate::http::response::retry_after;

/// Page of the callback.
pub(super) struct Page {
    status: StatusCode,
    title: String,
    /// HTML.
    body: String,
    /// Seconds.
    retry_after: Option<u64>,
}

impl Page {
    /// Asks the user to confirm the link.
    pub(super) fn confirmation(user: &UserId, link: &PendingLinkPage) -> Self {
        let account = &link.account;
        let (platform, kind) = (title(account.account_type), account.account_type);
        let (named, user) = (named(account), escaped(user.as_str()));
        let token = escaped(link.token.expose());
        let minutes = link.expires_in / 60;
        Self::with(
            StatusCode::OK,
            format!("Link a {platform} account"),
            format!(
                "<p>Link the {platform} account</p><p class=\"name\">{named}</p>\
                 <p>to the user</p><p class=\"name\"><bdi>{user}</bdi></p>\
                 <form method=\"post\" action=\"{kind}\"><input type=\"hidden\" name=\"{TOKEN}\" value=\"{token}\">\
                 <button>Link this account</button></form>\
                 <p>Did you not ask for this just now, or did somebody send you the link that brought you here? \
                 Then close this page: that user would read what is in your {platform} account. Without a press of the \
                 button nothing is linked, and {platform} gets the permission back within {minutes} minutes.</p>"
            ),
        )
    }

    /// Reports that the account is linked.
    pub(super) fn linked(user: &UserId, account: &UserAccount) -> Self {
        let platform = title(account.account_type);
        let (named, user) = (named(account), escaped(user.as_str()));
        Self::with(
            StatusCode::OK,
            format!("The {platform} account is linked"),
            format!(
                "<p>The {platform} account</p><p class=\"name\">{named}</p>\
                 <p>is linked to the user</p><p class=\"name\"><bdi>{user}</bdi></p>\
                 <p>You can close this page and go back to the application.</p>"
            ),
        )
    }

    /// Reports a failure.
    pub(super) fn refused(platform: AccountType, failure: &Failure) -> Self {
        let platform = title(platform);
        let (sentence, status) = (escaped(&failure.message), status(failure.error));
        Self {
            retry_after: retry_after(status, failure),
            ..Self::with(
                status,
                format!("No {platform} account was linked"),
                format!("<p>{sentence}</p><p>You can close this page and go back to the application.</p>"),
            )
        }
    }

    /// Reports an unknown platform.
    pub(super) fn not_found() -> Self {
        let body = "<p>There is nothing here.</p>".to_owned();
        Self::with(StatusCode::NOT_FOUND, "Nothing here".to_owned(), body)
    }

    /// Reports an unsupported method.
    pub(super) fn method_not_allowed() -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            ..Self::not_found()
        }
    }

    fn with(status: StatusCode, title: String, body: String) -> Self {
        Self {
            status,
            title,
            body,
            retry_after: None,
        }
    }
}

/// Renders pages, with their security headers.
pub(super) struct Pages {
    policy: HeaderValue,
}

impl Pages {
    #[expect(clippy::expect_used, reason = "the literal and base64 are printable ASCII")]
    pub(super) fn new() -> Self {
        let style = STANDARD.encode(Sha256::digest(STYLE));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        );
        Self {
            policy: HeaderValue::try_from(policy).expect("the policy is a header value"),
        }
    }

    /// Returns the response of a page. It must not be cached, framed, or leak its URL as a referrer.
    pub(super) fn render(&self, page: Page) -> Response {
        let Page {
            status,
            title,
            body,
            retry_after,
        } = page;
        let html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>{title}</title><style>{STYLE}</style></head>\
             <body><main><h1>{title}</h1>{body}</main></body></html>\n"
        );
        let mut response = Response::new(html.into());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        for (name, value) in HEADERS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

const HEADERS: [(HeaderName, &str); 8] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CACHE_CONTROL, "no-store"),
    // The URL contains a code and a state.
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // For browsers without `frame-ancestors`.
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:0;color:#1b1b1f;background:#f4f4f6}\
                     main{max-width:32rem;margin:10vh auto;padding:2rem;background:#fff;border-radius:12px}\
                     h1{font-size:1.3rem;margin-top:0}.name{font-weight:600;overflow-wrap:anywhere}\
                     button{font:inherit;padding:.6rem 1.4rem;border:0;border-radius:8px;color:#fff;background:#1f5fd0}\
                     :focus-visible{outline:3px solid #1f5fd0;outline-offset:2px}\
                     @media(prefers-color-scheme:dark){:root{color-scheme:dark}body{color:#ededf2;background:#16161a}\
                     main{background:#222228}button{color:#10131a;background:#9dc0ff}:focus-visible{outline-color:#9dc0ff}}";

/// Returns the display name of a platform.
fn title(platform: AccountType) -> &'static str {
    match platform {
        AccountType::Telegram => "Telegram",
        AccountType::XTwitter => "X",
        AccountType::Discord => "Discord",
        AccountType::Github => "GitHub",
    }
}

/// Returns all names of an account, including its unique id, as HTML. Each is isolated (`<bdi>`), so that a right-to-left name cannot
/// reorder the text of the page.
fn named(account: &UserAccount) -> String {
    let username = escaped(&account.username);
    let id = escaped(&account.platform_user_id);
    let display_name = account.display_name.as_deref().map(escaped);
    let shown = display_name.map_or_else(String::new, |name| format!(" (<bdi>{name}</bdi>)"));
    format!("<bdi>{username}</bdi>{shown}, id <bdi>{id}</bdi>")
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            plain => escaped.push(plain),
        }
    }
    escaped
}

fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::OauthDenied | ErrorCode::Unauthenticated => StatusCode::FORBIDDEN,
        ErrorCode::NotSupported => StatusCode::NOT_FOUND,
        ErrorCode::AlreadyConnected | ErrorCode::Conflict => StatusCode::CONFLICT,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::PlatformUnavailable => StatusCode::BAD_GATEWAY,
        ErrorCode::PlatformRateLimited | ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}

#[cfg(test)]
mod tests {
    use protocol::account::AccountStatus;
    use protocol::secret::Secret;
    use protocol::time::Timestamp;

    use super::*;

    #[test]
    fn names_are_escaped() {
        let hostile = "</p><script>alert('x')</script>\"&";
        let account = UserAccount {
            account_type: AccountType::Github,
            platform_user_id: hostile.to_owned(),
            username: hostile.to_owned(),
            display_name: Some(hostile.to_owned()),
            avatar_url: Some(hostile.to_owned()),
            status: AccountStatus::Connected,
            scopes: Vec::new(),
            connected_at: Timestamp::from_millis(0),
            last_synced: None,
            error_message: None,
        };
        let user = UserId::new("<b>GEN</b>").unwrap();
        let link = PendingLinkPage {
            account: account.clone(),
            token: Secret::new(hostile),
            cookie: Secret::new("c"),
            expires_in: 300,
        };
        let failure = Failure::with_message(ErrorCode::OauthFailed, hostile);
        for page in [
            Page::confirmation(&user, &link),
            Page::linked(&user, &account),
            Page::refused(AccountType::Github, &failure),
        ] {
            assert!(!page.body.contains("<script"), "{}", page.body);
            assert!(!page.body.contains("<b>"), "{}", page.body);
            assert!(!page.body.contains("\"&\""), "{}", page.body);
        }
        assert_eq!(
            escaped(hostile),
            "&lt;/p&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;"
        );
    }
}
