//! Negotiation of permessage-deflate (RFC 7692, section 7.1).

use http::HeaderMap;
use http::header::SEC_WEBSOCKET_EXTENSIONS;

/// LZ77 window size as a power of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window(u8);

impl Window {
    /// Maximum of deflate: 32 KiB.
    pub(crate) const FULL: Self = Self(15);

    /// Creates a window of 9 to 15 bits. 8 bits are refused: zlib silently uses 9, and its back references would be out of range.
    pub(super) fn new(bits: u8) -> Option<Self> {
        (9..=15).contains(&bits).then_some(Self(bits))
    }

    /// Returns the exponent.
    pub(super) fn bits(self) -> u8 {
        self.0
    }
}

/// Negotiated parameters of one socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeflateParams {
    /// `server_max_window_bits` of the offer, echoed in the response.
    server_window: Option<Window>,
}

impl DeflateParams {
    /// Accepts the first acceptable offer of a request. Without one, the socket is not compressed.
    pub(crate) fn negotiate(headers: &HeaderMap) -> Option<Self> {
        headers
            .get_all(SEC_WEBSOCKET_EXTENSIONS)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| split_unquoted(value, ','))
            .find_map(accept)
    }

    /// Returns the window of messages to the client. The client's own window needs no negotiation: decompression supports all sizes.
    pub(super) fn window(&self) -> Window {
        self.server_window.unwrap_or(Window::FULL)
    }

    /// Returns the `Sec-WebSocket-Extensions` response header. It always disables context takeover in both directions, which would cost
    /// each socket the memory of a compressor and a decompressor.
    pub(crate) fn response_header(&self) -> String {
        let params = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        match self.server_window {
            None => params.to_owned(),
            Some(window) => format!("{params}; server_max_window_bits={}", window.bits()),
        }
    }
}

/// Parses one offer. An offer with an unknown, repeated or invalid parameter is declined as a whole (section 7.1).
fn accept(offer: &str) -> Option<DeflateParams> {
    let mut parameters = split_unquoted(offer, ';');
    if parameters.next()? != "permessage-deflate" {
        return None;
    }
    let mut server_window = None;
    let mut seen = Vec::new();
    for parameter in parameters {
        let (name, value) = match parameter.split_once('=') {
            Some((name, value)) => (name.trim_end(), Some(value.trim_start())),
            None => (parameter, None),
        };
        if seen.contains(&name) {
            return None;
        }
        seen.push(name);
        match (name, value) {
            ("server_no_context_takeover" | "client_no_context_takeover" | "client_max_window_bits", None) => {}
            ("client_max_window_bits", Some(value)) if bits(value).is_some() => {}
            ("server_max_window_bits", Some(value)) => server_window = Some(Window::new(bits(value)?)?),
            _ => return None,
        }
    }
    Some(DeflateParams { server_window })
}

/// Parses a number from 8 to 15 without leading zeros (section 7.1.2.1), optionally quoted.
fn bits(value: &str) -> Option<u8> {
    let value = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .unwrap_or(value);
    if value.starts_with('0') || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    value.parse().ok().filter(|bits| (8..=15).contains(bits))
}

/// Splits a header at separators outside of quoted strings (RFC 9110, section 5.6.4) and trims the parts.
fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |char| {
        let is_escaped = escaped;
        escaped = quoted && char == '\\' && !is_escaped;
        if char == '"' && !is_escaped {
            quoted = !quoted;
        }
        char == separator && !quoted
    })
    .map(str::trim)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn response(offers: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for offer in offers {
            headers.append(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_str(offer).unwrap());
        }
        Some(DeflateParams::negotiate(&headers)?.response_header())
    }

    const ACCEPTED: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    #[test]
    fn usual_client_offers_are_accepted_without_context_takeover() {
        // Browsers and `ws`; Python's websockets; the minimal offer.
        let browser = "permessage-deflate; client_max_window_bits";
        let python = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12";
        assert_eq!(response(&[browser]).as_deref(), Some(ACCEPTED));
        let narrow = format!("{ACCEPTED}; server_max_window_bits=12");
        assert_eq!(response(&[python]), Some(narrow));
        assert_eq!(response(&["permessage-deflate"]).as_deref(), Some(ACCEPTED));
    }

    #[test]
    fn first_acceptable_offer_is_chosen() {
        let list = "permessage-foo, permessage-deflate; server_max_window_bits=8, permessage-deflate;server_max_window_bits = \"10\"";
        let narrow = format!("{ACCEPTED}; server_max_window_bits=10");
        assert_eq!(response(&[list]), Some(narrow.clone()));
        let two_headers = [
            "permessage-deflate; unknown_parameter",
            "permessage-deflate; server_max_window_bits=10",
        ];
        assert_eq!(response(&two_headers), Some(narrow));
    }

    #[test]
    fn invalid_offer_is_declined() {
        for parameters in [
            "server_max_window_bits",
            "server_max_window_bits=",
            "server_max_window_bits=7",
            "server_max_window_bits=16",
            "server_max_window_bits=09",
            "server_max_window_bits=+9",
            "server_max_window_bits=10; server_max_window_bits=10",
            "client_max_window_bits=7",
            "client_no_context_takeover=1",
            "server_no_context_takeover; server_no_context_takeover",
            "unknown_parameter",
            "",
        ] {
            assert_eq!(
                response(&[&format!("permessage-deflate; {parameters}")]),
                None,
                "{parameters}"
            );
        }
        assert_eq!(response(&[]), None);
        assert_eq!(response(&["x-webkit-deflate-frame"]), None);
    }

    #[test]
    fn quoted_comma_does_not_separate_offers() {
        assert_eq!(
            response(&[r#"foo; bar="a, permessage-deflate, \", permessage-deflate ,""#]),
            None
        );
        assert_eq!(
            response(&[r#"foo; bar="a, b", permessage-deflate"#]).as_deref(),
            Some(ACCEPTED)
        );
    }
}
