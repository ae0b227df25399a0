//! Reading of an upgrade request: endpoint, query parameters, headers.

use http::header::{self, HeaderMap, HeaderName};
use http::request::Parts;
use protocol::secret::Secret;
use url::form_urlencoded;

/// Path that leads to a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `/socket.io/`
    SocketIo,
    /// `/ws`
    Native,
}

impl Endpoint {
    /// Returns the endpoint of a path. Socket.IO clients with `addTrailingSlash: false` omit the slash.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        match path {
            "/socket.io/" | "/socket.io" => Some(Self::SocketIo),
            "/ws" => Some(Self::Native),
            _ => None,
        }
    }
}

/// Query parameters of a request.
pub(super) struct QueryParams(Vec<(String, String)>);

impl QueryParams {
    /// Parses the query of a request.
    pub(super) fn of(head: &Parts) -> Self {
        let query = head.uri.query().unwrap_or_default();
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// Returns the first parameter of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Reports whether a parameter is named like a token. URLs end up in logs and browser histories, so a token in one is leaked, and
    /// refused even if it is valid.
    pub(super) fn has_token(&self) -> bool {
        self.0
            .iter()
            .any(|(name, _)| TOKEN_NAMES.contains(&name.to_ascii_lowercase().as_str()))
    }
}

/// Usual names of query parameters that hold a token.
const TOKEN_NAMES: [&str; 7] = [
    "token",
    "access_token",
    "id_token",
    "auth_token",
    "jwt",
    "bearer",
    "authorization",
];

/// Returns the token of `Authorization: Bearer ...` (RFC 6750, section 2.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| Secret::new(token.trim_start()))
}

/// Returns the `User-Agent` header, truncated to [`MAX_USER_AGENT`] characters.
pub(crate) fn user_agent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::USER_AGENT)?.to_str().ok()?;
    Some(text.chars().take(MAX_USER_AGENT).collect())
}

const MAX_USER_AGENT: usize = 256;

/// Reports whether a comma-separated header contains this token, in any case.
pub(super) fn lists(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|listed| listed.trim().eq_ignore_ascii_case(token))
}

/// Returns the value of a header that occurs exactly once.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn bearer_token_is_read_from_its_header() {
        let token = |value: &str| {
            let request = Request::get("/ws").header("Authorization", value).body(()).unwrap();
            bearer(request.headers()).map(|token| token.expose().to_owned())
        };
        assert_eq!(token("Bearer a.b.c").as_deref(), Some("a.b.c"));
        assert_eq!(token("bearer a.b.c").as_deref(), Some("a.b.c"));
        assert_eq!(token("Basic a.b.c"), None);
    }
}
