//! Cookie of a pending link: a secret that a confirmation must present. It is random and identifies no user.

use axum::response::Response;
use http::HeaderMap;
use http::header::{COOKIE, HeaderValue, SET_COOKIE};
use protocol::account::AccountType;
use protocol::secret::Secret;

/// Returns the secret in the cookie of a platform.
pub(super) fn get(headers: &HeaderMap, platform: AccountType) -> Option<Secret> {
    let name = name(platform);
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(other, _)| *other == name)?;
    (!value.is_empty()).then(|| Secret::new(value))
}

/// Sets the cookie for `max_age` seconds.
pub(super) fn set(secret: &Secret, platform: AccountType, max_age: u64, response: &mut Response) {
    write(platform, secret.expose(), max_age, response);
}

/// Deletes the cookie.
pub(super) fn delete(platform: AccountType, response: &mut Response) {
    write(platform, "", 0, response);
}

/// Writes the `Set-Cookie` header. The browser sends the cookie over TLS to this host only (`__Host-`), never with a cross-site
/// request, and hides it from scripts.
fn write(platform: AccountType, value: &str, max_age: u64, response: &mut Response) {
    let name = name(platform);
    let cookie = format!("{name}={value}; Path=/; Max-Age={max_age}; Secure; HttpOnly; SameSite=Strict");
    if let Ok(mut cookie) = HeaderValue::try_from(cookie) {
        cookie.set_sensitive(true);
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// Returns the cookie name. It contains the platform, because two platforms may be linked at the same time.
fn name(platform: AccountType) -> String {
    format!("__Host-postern-{platform}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookie_is_read_back_for_its_platform_only() {
        let mut response = Response::default();
        set(&Secret::new("the-secret"), AccountType::Github, 300, &mut response);
        let set_cookie = response.headers()[SET_COOKIE].to_str().unwrap();
        let (pair, attributes) = set_cookie.split_once("; ").unwrap();
        assert_eq!(attributes, "Path=/; Max-Age=300; Secure; HttpOnly; SameSite=Strict");
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=b; __Host-postern-github-x=1"));
        headers.append(COOKIE, HeaderValue::try_from(format!("c=d;{pair}")).unwrap());
        let secret = get(&headers, AccountType::Github).unwrap();
        assert_eq!(secret.expose(), "the-secret");
        assert!(get(&headers, AccountType::Discord).is_none());
    }

    #[test]
    fn deleted_cookie_is_ignored() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("__Host-postern-github="));
        assert!(get(&headers, AccountType::Github).is_none());
    }
}
