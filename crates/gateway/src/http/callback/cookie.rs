//! What the browser keeps beside the page: a secret without which the page's button does nothing. It names nobody, and is good for
//! nothing until it is found.

use axum::response::Response;
use http::HeaderMap;
use http::header::{COOKIE, HeaderValue, SET_COOKIE};
use protocol::account::AccountType;
use protocol::secret::Secret;

/// The secret that this browser keeps for a platform; none where it keeps nothing.
pub(super) fn kept(headers: &HeaderMap, platform: AccountType) -> Option<Secret> {
    let name = name(platform);
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(other, _)| *other == name)?;
    (!value.is_empty()).then(|| Secret::new(value))
}

/// Has the browser keep a secret for so many seconds.
pub(super) fn keep(secret: &Secret, platform: AccountType, lasts: u64, response: &mut Response) {
    set(platform, secret.expose(), lasts, response);
}

/// Has the browser forget it.
pub(super) fn drop_from(platform: AccountType, response: &mut Response) {
    set(platform, "", 0, response);
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

    #[test]
    fn what_is_kept_comes_back_for_its_platform_among_other_cookies() {
        let mut response = Response::default();
        keep(&Secret::new("the-secret"), AccountType::Github, 300, &mut response);
        let set = response.headers()[SET_COOKIE].to_str().unwrap();
        let (pair, attributes) = set.split_once("; ").unwrap();
        assert_eq!(attributes, "Path=/; Max-Age=300; Secure; HttpOnly; SameSite=Strict");
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=b; __Host-postern-github-x=1"));
        headers.append(COOKIE, HeaderValue::try_from(format!("c=d;{pair}")).unwrap());
        let back = kept(&headers, AccountType::Github).unwrap();
        assert_eq!(back.expose(), "the-secret");
        assert!(kept(&headers, AccountType::Discord).is_none());
    }

    #[test]
    fn a_cookie_that_was_forgotten_is_none() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("__Host-postern-github="));
        assert!(kept(&headers, AccountType::Github).is_none());
    }
}
