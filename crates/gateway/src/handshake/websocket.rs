//! What RFC 6455 asks of a request, and the subprotocols of `/ws`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING,
    UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, Method, Version};
use protocol::wire::native::Encoding;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::refusal::Refusal;
use super::upgrade::lists;

/// Checks a handshake (RFC 6455, section 4.2.1) and computes its `Sec-WebSocket-Accept`.
pub(super) fn accept_key(head: &Parts) -> Result<String, Refusal> {
    let headers = &head.headers;
    if head.method != Method::GET || head.version != Version::HTTP_11 || has_body(headers) {
        return Err(Refusal::Handshake);
    }
    // One Upgrade of one protocol: a proxy in front may read a list, or a second header, otherwise than we do.
    let upgrade = single(headers, &UPGRADE).is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"));
    if !upgrade || !lists(headers, CONNECTION, "upgrade") {
        return Err(Refusal::Handshake);
    }
    if single(headers, &SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(Refusal::Version);
    }
    let key = single(headers, &SEC_WEBSOCKET_KEY).ok_or(Refusal::Handshake)?;
    match STANDARD.decode(key) {
        Ok(nonce) if nonce.len() == NONCE_LEN => Ok(derive_accept_key(key.as_bytes())),
        _ => Err(Refusal::Handshake),
    }
}

/// The encoding of the first subprotocol offered that is ours. One must be named: a client that names none may expect anything.
pub(super) fn subprotocol(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|offered| SUBPROTOCOLS.iter().find(|(name, _)| *name == offered.trim()))
        .map(|(_, encoding)| *encoding)
        .ok_or(Refusal::Subprotocol)
}

/// The subprotocol that names this encoding.
pub(super) fn subprotocol_name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Json => "postern.v1.json",
        Encoding::Msgpack => "postern.v1.msgpack",
    }
}

const SUBPROTOCOLS: [(&str, Encoding); 2] = [
    ("postern.v1.json", Encoding::Json),
    ("postern.v1.msgpack", Encoding::Msgpack),
];

/// A body on the request that becomes a WebSocket is how requests are smuggled past a proxy.
fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0")
}

/// The value of a header that must stand there once.
fn single<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// The length of the client's nonce, in bytes.
const NONCE_LEN: usize = 16;

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn accept(edit: impl FnOnce(&mut Parts)) -> Result<String, Refusal> {
        let request = Request::get("/ws")
            .header("Connection", "Upgrade")
            .header("Upgrade", "WebSocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        let mut head = request.body(()).unwrap().into_parts().0;
        edit(&mut head);
        accept_key(&head)
    }

    #[test]
    fn a_handshake_that_breaks_the_rfc_is_refused() {
        assert_eq!(accept(|_| {}).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let value = http::HeaderValue::from_static;
        let refused = [
            accept(|head| head.method = Method::POST),
            accept(|head| head.version = Version::HTTP_10),
            accept(|head| drop(head.headers.remove(UPGRADE))),
            accept(|head| drop(head.headers.insert(UPGRADE, value("h2c, websocket")))),
            accept(|head| assert!(head.headers.append(UPGRADE, value("websocket")))),
            accept(|head| assert!(head.headers.append(UPGRADE, value("h2c")))),
            accept(|head| drop(head.headers.insert(CONNECTION, value("keep-alive")))),
            accept(|head| drop(head.headers.insert(CONTENT_LENGTH, value("5")))),
            accept(|head| drop(head.headers.insert(TRANSFER_ENCODING, value("chunked")))),
            accept(|head| drop(head.headers.remove(SEC_WEBSOCKET_KEY))),
            accept(|head| drop(head.headers.insert(SEC_WEBSOCKET_KEY, value("c2hvcnQ=")))),
            accept(|head| {
                assert!(
                    head.headers
                        .append(SEC_WEBSOCKET_KEY, value("dGhlIHNhbXBsZSBub25jZQ=="))
                );
            }),
        ];
        for (case, refusal) in refused.into_iter().enumerate() {
            assert_eq!(refusal, Err(Refusal::Handshake), "case {case}");
        }
        let old = accept(|head| drop(head.headers.insert(SEC_WEBSOCKET_VERSION, value("8"))));
        assert_eq!(old, Err(Refusal::Version));
    }
}
