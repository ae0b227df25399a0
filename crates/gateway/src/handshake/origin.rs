//! Check of the `Origin` header, and the rate-limited log of refused origins.

use http::header::{self, HeaderValue};
use http::request::Parts;
use tokio::time::Instant;
use url::{Host, Url};

use super::request::single;
use crate::rate::LogLimit;
use crate::settings::{Origins, Rate};

/// Reports whether the Origin is absent, listed, or equal to the host of the request.
pub(super) fn is_allowed(head: &Parts, origins: &Origins) -> bool {
    if !head.headers.contains_key(header::ORIGIN) {
        return true;
    }
    let Some(origin) = single(&head.headers, &header::ORIGIN) else {
        return false;
    };
    origins.allows(origin) || single(&head.headers, &header::HOST).is_some_and(|host| is_own_host(origin, host))
}

/// Reports whether Origin and Host name the same host and port. Client libraries derive an Origin from the URL: websocket-client of
/// Python and React Native with `https://`, Starscream of Swift with `wss://`, with or without the default port. Clients connect over
/// TLS, so the default port of Host is that of https.
fn is_own_host(origin: &str, host: &str) -> bool {
    let own = host_and_port(&format!("https://{host}"));
    own.is_some() && host_and_port(origin) == own
}

/// Returns host and port of a URL without path, query, fragment or credentials.
fn host_and_port(url: &str) -> Option<(Host<String>, u16)> {
    let url = Url::parse(url).ok()?;
    let web = matches!(url.scheme(), "https" | "http" | "wss" | "ws");
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !web || !bare || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    Some((url.host()?.to_owned(), url.port_or_known_default()?))
}

/// Returns the Origin of a request for a response: bounded, and with `?` for each byte that no serialized origin has, so that markup,
/// quotes and control characters of a forged one do not reach whoever shows the response.
pub(super) fn named(head: &Parts) -> String {
    let value = head.headers.get(header::ORIGIN).map_or(&b""[..], HeaderValue::as_bytes);
    let shown = |byte: &u8| {
        let usual = byte.is_ascii_alphanumeric() || b":/.-_+~%[]".contains(byte);
        if usual { char::from(*byte) } else { '?' }
    };
    value.iter().take(MAX_NAMED_BYTES).map(shown).collect()
}

const MAX_NAMED_BYTES: usize = 128;

/// Rate-limited log of refused origins.
pub(crate) struct OriginLog(LogLimit);

impl OriginLog {
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        Self(LogLimit::new(rate, now))
    }

    /// Logs a request that was refused because of its Origin.
    pub(crate) fn refused(&self, head: &Parts, now: Instant) {
        let Some(suppressed) = self.0.admit(now) else { return };
        let printable = |name| {
            head.headers
                .get(name)
                .map_or_else(String::new, |value| truncated(value.as_bytes()))
        };
        tracing::info!(
            origin = printable(header::ORIGIN),
            host = printable(header::HOST),
            suppressed,
            "upgrade refused, Origin is not in POSTERN_ALLOWED_ORIGINS"
        );
    }
}

fn truncated(value: &[u8]) -> String {
    String::from_utf8_lossy(value).chars().take(MAX_LOGGED_CHARS).collect()
}

const MAX_LOGGED_CHARS: usize = 256;

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn allowed(origin: &[&str], host: &[&str]) -> bool {
        let mut request = Request::get("/ws");
        for origin in origin {
            request = request.header("Origin", *origin);
        }
        for host in host {
            request = request.header("Host", *host);
        }
        let listed = Origins::parse("https://app.example.com").unwrap();
        is_allowed(&request.body(()).unwrap().into_parts().0, &listed)
    }

    #[test]
    fn the_origin_of_the_requests_own_host_and_port_allowed() {
        for (origin, host) in [
            ("https://gateway.example.com", "gateway.example.com"),
            ("https://gateway.example.com:443", "gateway.example.com"),
            ("https://gateway.example.com", "gateway.example.com:443"),
            ("https://gateway.example.com:8443", "gateway.example.com:8443"),
            ("http://gateway.example.com:8443", "gateway.example.com:8443"),
            ("wss://gateway.example.com:8443", "gateway.example.com:8443"),
            ("wss://gateway.example.com", "gateway.example.com"),
            ("https://Gateway.Example.com/", "gateway.example.com"),
            ("https://192.0.2.7:8443", "192.0.2.7:8443"),
            ("https://[2001:db8::7]:8443", "[2001:db8:0::7]:8443"),
        ] {
            assert!(allowed(&[origin], &[host]), "{origin} {host}");
        }
    }

    #[test]
    fn origin_of_another_host_or_port_is_refused() {
        for (origin, host) in [
            ("https://evil.com", "gateway.example.com"),
            ("https://gateway.example.com.evil.com", "gateway.example.com"),
            ("https://app.gateway.example.com", "gateway.example.com"),
            ("https://gateway.example.com:8443", "gateway.example.com"),
            ("https://gateway.example.com", "gateway.example.com:8443"),
            ("http://gateway.example.com", "gateway.example.com"),
            ("capacitor://gateway.example.com", "gateway.example.com"),
            ("https://me@gateway.example.com", "gateway.example.com"),
            ("https://gateway.example.com/path", "gateway.example.com"),
            ("https://gateway.example.com", "me@gateway.example.com"),
            ("https://gateway.example.com", "gateway.example.com/path"),
            ("null", "gateway.example.com"),
            ("null", "null"),
            ("", ""),
            ("https://", ""),
        ] {
            assert!(!allowed(&[origin], &[host]), "{origin} {host}");
        }
    }

    #[test]
    fn named_origin_is_bounded_and_without_markup() {
        let named = |origin: &[u8]| {
            let request = Request::get("/ws").header("Origin", origin).body(()).unwrap();
            named(&request.into_parts().0)
        };
        assert_eq!(named(b"https://[2001:db8::7]:8443"), "https://[2001:db8::7]:8443");
        assert_eq!(named(b"https://a\"},<b>\t\\\xe2\x80\xae&'`"), "https://a????b?????????");
        assert_eq!(named("x".repeat(4_096).as_bytes()), "x".repeat(128));
    }

    #[test]
    fn missing_or_repeated_host_or_origin_does_not_match_own_host() {
        let own = "https://gateway.example.com";
        assert!(!allowed(&[own], &[]));
        assert!(!allowed(&[own], &["gateway.example.com", "gateway.example.com"]));
        assert!(!allowed(&[own, own], &["gateway.example.com"]));
        assert!(!allowed(
            &["https://app.example.com", "https://evil.com"],
            &["gateway.example.com"]
        ));
        assert!(allowed(&[], &["gateway.example.com"]));
    }
}
