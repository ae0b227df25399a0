//! Decision on an upgrade request, and its 101 response.

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};
use protocol::secret::Secret;
use protocol::wire::native::Encoding;

use super::refusal::UpgradeRefusal;
use super::request::{Endpoint, QueryParams, bearer, user_agent};
use super::{engineio, origin, websocket};
use crate::deflate::DeflateParams;
use crate::settings::Origins;

/// Accepted upgrade request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Upgrade {
    /// Protocol of the socket.
    pub(crate) protocol: Protocol,
    /// `User-Agent` header, truncated.
    pub(crate) user_agent: Option<String>,
    /// Negotiated permessage-deflate parameters, if any.
    pub(crate) deflate: Option<DeflateParams>,
    accept: String,
}

/// Protocol on a WebSocket.
#[derive(Debug)]
pub(crate) enum Protocol {
    /// Engine.IO 4 and Socket.IO 5. The first packet reveals the client's parser.
    SocketIo,
    /// Native protocol of `/ws`.
    Native {
        /// Encoding named by the subprotocol.
        encoding: Encoding,
        /// Token of the `Authorization` header.
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
    /// Returns the 101 response (RFC 6455, section 4.2.2).
    pub(crate) fn response<B: Default>(&self) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        if let Ok(accept) = HeaderValue::from_str(&self.accept) {
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        let extension = self.deflate.as_ref().map(DeflateParams::response_header);
        if let Some(Ok(extension)) = extension.map(HeaderValue::try_from) {
            headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, extension);
        }
        if let Protocol::Native { encoding, .. } = &self.protocol {
            let name = websocket::subprotocol_name(*encoding);
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
        }
        response
    }
}

/// Checks an upgrade request and negotiates protocol and compression.
///
/// # Errors
/// [`UpgradeRefusal`] to respond with.
pub(crate) fn negotiate(endpoint: Endpoint, head: &Parts, origins: &Origins) -> Result<Upgrade, UpgradeRefusal> {
    let query = QueryParams::of(head);
    if query.has_token() {
        return Err(UpgradeRefusal::TokenInQuery);
    }
    if !origin::is_allowed(head, origins) {
        return Err(UpgradeRefusal::Origin(endpoint, origin::named(head)));
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
        deflate: DeflateParams::negotiate(&head.headers),
        accept: websocket::accept_key(head)?,
    })
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
    fn valid_upgrade_is_accepted_with_the_key_of_rfc6455() {
        let upgrade = negotiate(
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
    fn first_supported_subprotocol_is_chosen_and_others_never_echoed() {
        let offered = (
            "Sec-WebSocket-Protocol",
            "my.secret.token, postern.v1.msgpack, postern.v1.json",
        );
        let upgrade = negotiate(Endpoint::Native, &head("/ws", &[offered]), &Origins::none()).unwrap();
        let response: Response<()> = upgrade.response();
        assert_eq!(response.headers()["sec-websocket-protocol"], "postern.v1.msgpack");
        for foreign in ["my.secret.token", "postern.v2.json", "POSTERN.V1.JSON", ""] {
            let foreign = head("/ws", &[("Sec-WebSocket-Protocol", foreign)]);
            assert_eq!(
                negotiate(Endpoint::Native, &foreign, &Origins::none()).unwrap_err(),
                UpgradeRefusal::Subprotocol
            );
        }
        assert_eq!(
            negotiate(Endpoint::Native, &head("/ws", &[]), &Origins::none()).unwrap_err(),
            UpgradeRefusal::Subprotocol
        );
    }

    #[test]
    fn token_in_query_is_refused_under_every_usual_name() {
        for query in [
            "token=x",
            "access_token=x",
            "Token=x",
            "EIO=4&transport=websocket&jwt=x",
        ] {
            for (endpoint, path) in [(Endpoint::Native, "/ws"), (Endpoint::SocketIo, "/socket.io/")] {
                let refusal = negotiate(endpoint, &head(&format!("{path}?{query}"), &[JSON]), &Origins::none());
                assert_eq!(refusal.unwrap_err(), UpgradeRefusal::TokenInQuery, "{path}?{query}");
            }
        }
    }

    #[test]
    fn foreign_origin_is_refused_and_missing_one_allowed() {
        let origins = Origins::parse("https://app.example.com").unwrap();
        let from = |origin| negotiate(Endpoint::Native, &head("/ws", &[JSON, ("Origin", origin)]), &origins);
        assert!(from("https://app.example.com").is_ok());
        assert_eq!(
            from("https://evil.com").unwrap_err(),
            UpgradeRefusal::Origin(Endpoint::Native, "https://evil.com".to_owned())
        );
        assert_eq!(
            from("null").unwrap_err(),
            UpgradeRefusal::Origin(Endpoint::Native, "null".to_owned())
        );
        assert!(negotiate(Endpoint::Native, &head("/ws", &[JSON]), &origins).is_ok());
    }
}
