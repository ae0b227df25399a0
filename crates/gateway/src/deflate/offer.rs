//! What a client offers of permessage-deflate, and what is agreed (RFC 7692, section 7.1).

use http::HeaderMap;
use http::header::SEC_WEBSOCKET_EXTENSIONS;

/// How far back a compressed message may refer: to 2 to this power bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window(u8);

impl Window {
    /// As far as deflate goes: 32 KiB.
    pub(crate) const FULL: Self = Self(15);

    /// None where zlib cannot: it widens a window of 8 bits without a word, and what it then writes refers too far back.
    pub(super) fn new(bits: u8) -> Option<Self> {
        (9..=15).contains(&bits).then_some(Self(bits))
    }

    /// The power.
    pub(super) fn bits(self) -> u8 {
        self.0
    }
}

/// How messages are compressed on one socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeflateParams {
    /// What the client asked for; the answer says it too.
    asked: Option<Window>,
}

impl DeflateParams {
    /// The first offer that can be met. Without one there is no compression, and nothing else changes.
    pub(crate) fn with(headers: &HeaderMap) -> Option<Self> {
        headers
            .get_all(SEC_WEBSOCKET_EXTENSIONS)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| unquoted(value, ','))
            .find_map(met)
    }

    /// The window that messages to the client are compressed with. What the client itself uses is of no consequence: every
    /// inflater here can do them all.
    pub(super) fn window(&self) -> Window {
        self.asked.unwrap_or(Window::FULL)
    }

    /// What stands in the answer. No context is kept on either side, asked or not: it would cost each socket the memory of a
    /// compressor and of an inflater.
    pub(crate) fn answer(&self) -> String {
        let agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        match self.asked {
            None => agreed.to_owned(),
            Some(window) => format!("{agreed}; server_max_window_bits={}", window.bits()),
        }
    }
}

/// An offer that names something unknown, or names something twice or wrongly, is to be declined as a whole (section 7.1).
fn met(offer: &str) -> Option<DeflateParams> {
    let mut parameters = unquoted(offer, ';');
    if parameters.next()? != "permessage-deflate" {
        return None;
    }
    let mut asked = None;
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
            ("server_max_window_bits", Some(value)) => asked = Some(Window::new(bits(value)?)?),
            _ => return None,
        }
    }
    Some(DeflateParams { asked })
}

/// A number from 8 to 15 without leading zeros (section 7.1.2.1), which may stand in quotes as any value may.
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

/// The parts of a header between separators that do not stand in quotes (RFC 9110, section 5.6.4), trimmed.
fn unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
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

    fn answer(offers: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for offer in offers {
            headers.append(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_str(offer).unwrap());
        }
        Some(DeflateParams::with(&headers)?.answer())
    }

    const AGREED: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    #[test]
    fn what_clients_offer_is_taken_without_contexts() {
        // Browsers and `ws`; Python's websockets; the least there is.
        let browser = "permessage-deflate; client_max_window_bits";
        let python = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12";
        assert_eq!(answer(&[browser]).as_deref(), Some(AGREED));
        let narrow = format!("{AGREED}; server_max_window_bits=12");
        assert_eq!(answer(&[python]), Some(narrow));
        assert_eq!(answer(&["permessage-deflate"]).as_deref(), Some(AGREED));
    }

    #[test]
    fn the_first_offer_that_can_be_met_is_the_one() {
        let list = "permessage-foo, permessage-deflate; server_max_window_bits=8, permessage-deflate;server_max_window_bits = \"10\"";
        let narrow = format!("{AGREED}; server_max_window_bits=10");
        assert_eq!(answer(&[list]), Some(narrow.clone()));
        let over_two = [
            "permessage-deflate; unheard_of",
            "permessage-deflate; server_max_window_bits=10",
        ];
        assert_eq!(answer(&over_two), Some(narrow));
    }

    #[test]
    fn an_offer_that_breaks_the_rules_is_declined() {
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
            "unheard_of",
            "",
        ] {
            assert_eq!(
                answer(&[&format!("permessage-deflate; {parameters}")]),
                None,
                "{parameters}"
            );
        }
        assert_eq!(answer(&[]), None);
        assert_eq!(answer(&["x-webkit-deflate-frame"]), None);
    }

    #[test]
    fn a_comma_within_quotes_begins_no_offer() {
        assert_eq!(
            answer(&[r#"foo; bar="a, permessage-deflate, \", permessage-deflate ,""#]),
            None
        );
        assert_eq!(
            answer(&[r#"foo; bar="a, b", permessage-deflate"#]).as_deref(),
            Some(AGREED)
        );
    }
}
