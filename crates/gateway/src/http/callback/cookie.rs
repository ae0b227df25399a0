//! What the browser keeps beside the page: in whose name it came back, and a secret without which the page's button does nothing.
//!
//! It says nothing that is believed: the secret is good for this user, session and platform alone, and only a worker can tell.

use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::{COOKIE, HeaderValue, SET_COOKIE};
use protocol::account::AccountType;
use protocol::id::{SessionId, UserId};
use protocol::json::Json;
use protocol::secret::Secret;
use serde::{Deserialize, Serialize};

/// The cookie's content.
#[derive(Serialize, Deserialize)]
pub(super) struct Keepsake {
    pub(super) user: UserId,
    pub(super) session: SessionId,
    pub(super) secret: Secret,
}

impl Keepsake {
    /// What this browser kept for a platform; none where it kept nothing, or something else.
    pub(super) fn of(headers: &HeaderMap, platform: AccountType) -> Option<Self> {
        let name = name(platform);
        let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut pairs = lines
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let (_, value) = pairs.find(|(other, _)| *other == name)?;
        let text = URL_SAFE_NO_PAD.decode(value).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Has the browser keep it for so many seconds.
    pub(super) fn keep(&self, platform: AccountType, lasts: u64, response: &mut Response) {
        let value = URL_SAFE_NO_PAD.encode(Json::of(self).as_str());
        set(platform, &value, lasts, response);
    }

    /// Has the browser forget it.
    pub(super) fn drop_from(platform: AccountType, response: &mut Response) {
        set(platform, "", 0, response);
    }
}

/// Sent to us alone (`__Host-`: over TLS, for this very host), never with a request that another site has made, and read by no
/// script.
fn set(platform: AccountType, value: &str, max_age: u64, response: &mut Response) {
    let name = name(platform);
    let cookie = format!("{name}={value}; Path=/; Max-Age={max_age}; Secure; HttpOnly; SameSite=Strict");
    if let Ok(mut cookie) = HeaderValue::try_from(cookie) {
        cookie.set_sensitive(true);
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// Two platforms may be linked at once, each on a page of its own.
fn name(platform: AccountType) -> String {
    format!("__Host-postern-{platform}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> HeaderValue {
        let keepsake = Keepsake {
            user: UserId::new("GEN 001; =").unwrap(),
            session: SessionId::new("s").unwrap(),
            secret: Secret::new("the secret"),
        };
        let mut response = Response::default();
        keepsake.keep(AccountType::Github, 300, &mut response);
        response.headers()[SET_COOKIE].clone()
    }

    #[test]
    fn what_is_kept_comes_back_for_its_platform_among_other_cookies() {
        let set = kept();
        let set = set.to_str().unwrap();
        let (pair, attributes) = set.split_once("; ").unwrap();
        assert_eq!(attributes, "Path=/; Max-Age=300; Secure; HttpOnly; SameSite=Strict");
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=b; __Host-postern-github-x=1"));
        headers.append(COOKIE, HeaderValue::try_from(format!("c=d;{pair}")).unwrap());
        let back = Keepsake::of(&headers, AccountType::Github).unwrap();
        assert_eq!(
            (back.user.as_str(), back.session.as_str(), back.secret.expose()),
            ("GEN 001; =", "s", "the secret")
        );
        assert!(Keepsake::of(&headers, AccountType::Discord).is_none());
    }

    #[test]
    fn what_we_did_not_write_is_nothing() {
        for value in ["", "%%%", "e30", "bm90IGpzb24"] {
            let mut headers = HeaderMap::new();
            let pair = format!("__Host-postern-github={value}");
            headers.append(COOKIE, HeaderValue::try_from(pair).unwrap());
            assert!(Keepsake::of(&headers, AccountType::Github).is_none(), "{value}");
        }
    }
}
