//! Checks of RFC 6455 on the upgrade request, and the subprotocols of `/ws`.

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

use super::refusal::UpgradeRefusal;
use super::request::{lists, single};

/// Checks a handshake (RFC 6455, section 4.2.1) and computes its `Sec-WebSocket-Accept`.
pub(super) fn accept_key(head: &Parts) -> Result<String, UpgradeRefusal> {
    let headers = &head.headers;
    if head.method != Method::GET || head.version != Version::HTTP_11 || has_body(headers) {
        return Err(UpgradeRefusal::Handshake);
    }
    // Exactly one Upgrade header with one protocol: a proxy in front may interpret a list, or a second header, differently.
    let upgrade = single(headers, &UPGRADE).is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"));
    if !upgrade || !lists(headers, CONNECTION, "upgrade") {
        return Err(UpgradeRefusal::Handshake);
    }
    if single(headers, &SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(UpgradeRefusal::Version);
    }
    let key = single(headers, &SEC_WEBSOCKET_KEY).ok_or(UpgradeRefusal::Handshake)?;
    match STANDARD.decode(key) {
        Ok(nonce) if nonce.len() == NONCE_LEN => Ok(derive_accept_key(key.as_bytes())),
        _ => Err(UpgradeRefusal::Handshake),
    }
}

/// Returns the encoding of the first supported subprotocol. Without one, the client's encoding would be unknown.
pub(super) fn subprotocol(headers: &HeaderMap) -> Result<Encoding, UpgradeRefusal> {
    headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|offered| SUBPROTOCOLS.iter().find(|(name, _)| *name == offered.trim()))
        .map(|(_, encoding)| *encoding)
        .ok_or(UpgradeRefusal::Subprotocol)
}

/// Returns the subprotocol of an encoding.
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

/// Reports whether the request announces a body. A body on an upgrade request is a vector for request smuggling.
fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0")
}

/// Length of the client's nonce, in bytes (RFC 6455, section 4.1).
const NONCE_LEN: usize = 16;

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn accept(edit: impl FnOnce(&mut Parts)) -> Result<String, UpgradeRefusal> {
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
    fn handshake_violating_rfc6455_is_refused() {
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
            assert_eq!(refusal, Err(UpgradeRefusal::Handshake), "case {case}");
        }
        let old = accept(|head| drop(head.headers.insert(SEC_WEBSOCKET_VERSION, value("8"))));
        assert_eq!(old, Err(UpgradeRefusal::Version));
    }
}
