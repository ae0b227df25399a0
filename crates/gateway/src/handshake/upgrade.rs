//! May this request become a WebSocket, and which dialect will it speak?

use http::header::{self, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use protocol::secret::Secret;
use protocol::wire::native::Encoding;
use url::form_urlencoded;

use super::refusal::Refusal;
use super::{engineio, origin, websocket};
use crate::deflate::DeflateParams;
use crate::settings::Origins;

/// A path that leads to a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `/socket.io/`
    SocketIo,
    /// `/ws`
    Native,
}

impl Endpoint {
    /// The endpoint of this path. Socket.IO clients with `addTrailingSlash: false` leave the slash out.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        match path {
            "/socket.io/" | "/socket.io" => Some(Self::SocketIo),
            "/ws" => Some(Self::Native),
            _ => None,
        }
    }
}

/// A request that may become a WebSocket.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Upgrade {
    /// What will be spoken.
    pub(crate) protocol: Protocol,
    /// What the client calls itself.
    pub(crate) user_agent: Option<String>,
    /// How messages are compressed, if they are.
    pub(crate) deflate: Option<DeflateParams>,
    accept: String,
}

/// What is spoken on a WebSocket.
#[derive(Debug)]
pub(crate) enum Protocol {
    /// Engine.IO 4 and Socket.IO 5; the client's parser shows in its first packet.
    SocketIo,
    /// Ours.
    Native {
        /// As the subprotocol says.
        encoding: Encoding,
        /// The token of the `Authorization` header.
        bearer: Option<Secret>,
    },
}

impl PartialEq for Protocol {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::SocketIo, Self::SocketIo) => true,
            (Self::Native { encoding, .. }, Self::Native { encoding: other, .. }) => encoding == other,
            _ => false,
        }
    }
}

impl Eq for Protocol {}

impl Upgrade {
    /// The answer that makes it one: 101 (RFC 6455, section 4.2.2).
    pub(crate) fn response<B: Default>(&self) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        if let Ok(accept) = HeaderValue::from_str(&self.accept) {
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        let agreed = self.deflate.as_ref().map(DeflateParams::answer);
        if let Some(Ok(agreed)) = agreed.map(HeaderValue::try_from) {
            headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, agreed);
        }
        if let Protocol::Native { encoding, .. } = &self.protocol {
            let name = websocket::subprotocol_name(*encoding);
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
        }
        response
    }
}

/// Decides about a request to one of the endpoints.
///
/// # Errors
/// The [`Refusal`] to answer with.
pub(crate) fn judge(endpoint: Endpoint, head: &Parts, origins: &Origins) -> Result<Upgrade, Refusal> {
    let query = Query::of(head);
    if query.has_token() {
        return Err(Refusal::TokenInQuery);
    }
    if !origin::is_allowed(head, origins) {
        return Err(Refusal::Origin(endpoint));
    }
    let protocol = match endpoint {
        Endpoint::SocketIo => {
            engineio::check(head, &query)?;
            Protocol::SocketIo
        }
        Endpoint::Native => Protocol::Native {
            encoding: websocket::subprotocol(&head.headers)?,
            bearer: bearer(&head.headers),
        },
    };
    Ok(Upgrade {
        protocol,
        user_agent: user_agent(&head.headers),
        deflate: DeflateParams::with(&head.headers),
        accept: websocket::accept_key(head)?,
    })
}

/// The parameters of a request's query.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    fn of(head: &Parts) -> Self {
        let query = head.uri.query().unwrap_or_default();
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The first parameter of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// URLs are written into logs and histories by everyone they pass: a token there is lost, and refused even if it is valid.
    fn has_token(&self) -> bool {
        self.0
            .iter()
            .any(|(name, _)| TOKEN_NAMES.contains(&name.to_ascii_lowercase().as_str()))
    }
}

/// What a token is called by those who put it into a URL.
const TOKEN_NAMES: [&str; 7] = [
    "token",
    "access_token",
    "id_token",
    "auth_token",
    "jwt",
    "bearer",
    "authorization",
];

/// The token of `Authorization: Bearer ...` (RFC 6750, section 2.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| Secret::new(token.trim_start()))
}

/// What a client calls itself, as far as that is worth keeping.
pub(crate) fn user_agent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::USER_AGENT)?.to_str().ok()?;
    Some(text.chars().take(MOST_OF_USER_AGENT).collect())
}

const MOST_OF_USER_AGENT: usize = 256;

/// Whether a header that lists words holds this one, in whatever case.
pub(super) fn lists(headers: &HeaderMap, name: HeaderName, word: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|listed| listed.trim().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::get(uri)
            .header("Connection", "keep-alive, Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    const JSON: (&str, &str) = ("Sec-WebSocket-Protocol", "postern.v1.json");

    #[test]
    fn a_proper_request_is_accepted_with_the_key_of_the_rfc() {
        let upgrade = judge(
            Endpoint::SocketIo,
            &head("/socket.io/?foo=bar&EIO=4&transport=websocket&t=1.2", &[]),
            &Origins::none(),
        )
        .unwrap();
        let response: Response<()> = upgrade.response();
        assert_eq!(response.status(), 101);
        assert_eq!(
            response.headers()["sec-websocket-accept"],
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        assert!(!response.headers().contains_key("sec-websocket-protocol"));
    }

    #[test]
    fn the_subprotocol_is_the_first_offered_that_is_ours_and_never_an_echo() {
        let offered = (
            "Sec-WebSocket-Protocol",
            "my.secret.token, postern.v1.msgpack, postern.v1.json",
        );
        let upgrade = judge(Endpoint::Native, &head("/ws", &[offered]), &Origins::none()).unwrap();
        let response: Response<()> = upgrade.response();
        assert_eq!(response.headers()["sec-websocket-protocol"], "postern.v1.msgpack");
        for foreign in ["my.secret.token", "postern.v2.json", "POSTERN.V1.JSON", ""] {
            let foreign = head("/ws", &[("Sec-WebSocket-Protocol", foreign)]);
            assert_eq!(
                judge(Endpoint::Native, &foreign, &Origins::none()).unwrap_err(),
                Refusal::Subprotocol
            );
        }
        assert_eq!(
            judge(Endpoint::Native, &head("/ws", &[]), &Origins::none()).unwrap_err(),
            Refusal::Subprotocol
        );
    }

    #[test]
    fn a_token_in_the_query_is_refused_whatever_its_name() {
        for query in [
            "token=x",
            "access_token=x",
            "Token=x",
            "EIO=4&transport=websocket&jwt=x",
        ] {
            for (endpoint, path) in [(Endpoint::Native, "/ws"), (Endpoint::SocketIo, "/socket.io/")] {
                let refusal = judge(endpoint, &head(&format!("{path}?{query}"), &[JSON]), &Origins::none());
                assert_eq!(refusal.unwrap_err(), Refusal::TokenInQuery, "{path}?{query}");
            }
        }
    }

    #[test]
    fn a_foreign_origin_is_refused_and_an_absent_one_let_in() {
        let origins = Origins::parse("https://app.example.com").unwrap();
        let from = |origin| judge(Endpoint::Native, &head("/ws", &[JSON, ("Origin", origin)]), &origins);
        assert!(from("https://app.example.com").is_ok());
        assert_eq!(from("https://evil.com").unwrap_err(), Refusal::Origin(Endpoint::Native));
        assert_eq!(from("null").unwrap_err(), Refusal::Origin(Endpoint::Native));
        assert!(judge(Endpoint::Native, &head("/ws", &[JSON]), &origins).is_ok());
    }

    #[test]
    fn a_bearer_token_is_found_in_its_header() {
        let token = |value: &str| {
            let headers = head("/ws", &[("Authorization", value)]).headers;
            bearer(&headers).map(|token| token.expose().to_owned())
        };
        assert_eq!(token("Bearer a.b.c").as_deref(), Some("a.b.c"));
        assert_eq!(token("bearer a.b.c").as_deref(), Some("a.b.c"));
        assert_eq!(token("Basic a.b.c"), None);
    }
}
