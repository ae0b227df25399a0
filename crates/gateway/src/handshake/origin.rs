//! The `Origin` header of an upgrade: whether it is let in, and what the log says of one that is not.

use std::sync::{Mutex, PoisonError};

use http::header::{self, HeaderName};
use http::request::Parts;
use tokio::time::Instant;
use url::{Host, Url};

use crate::rate::Limit;
use crate::settings::{Origins, Rate};

/// Whether the request has no Origin, one that is listed, or that of the very host it asks.
pub(super) fn is_allowed(head: &Parts, origins: &Origins) -> bool {
    if !head.headers.contains_key(header::ORIGIN) {
        return true;
    }
    let Some(origin) = single(head, &header::ORIGIN) else {
        return false;
    };
    origins.allows(origin) || single(head, &header::HOST).is_some_and(|host| is_own_host(origin, host))
}

/// Whether an Origin has the host and the port that the request's Host has. Client libraries invent it: websocket-client of
/// Python and React Native with `https://`, Starscream of Swift with `wss://`, the default port written or not. Clients reach a
/// gateway over TLS, so the default port of Host is that of https.
fn is_own_host(origin: &str, host: &str) -> bool {
    let asked = host_and_port(&format!("https://{host}"));
    asked.is_some() && host_and_port(origin) == asked
}

/// Host and port of a URL that has nothing else.
fn host_and_port(url: &str) -> Option<(Host<String>, u16)> {
    let url = Url::parse(url).ok()?;
    let web = matches!(url.scheme(), "https" | "http" | "wss" | "ws");
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !web || !bare || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    Some((url.host()?.to_owned(), url.port_or_known_default()?))
}

/// The value of a header that stands there once.
fn single<'a>(head: &'a Parts, name: &HeaderName) -> Option<&'a str> {
    let mut values = head.headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// The log of refused origins. Anyone may cause its lines: they are limited, and those left out are counted.
pub(crate) struct OriginLog(Mutex<Lines>);

struct Lines {
    limit: Limit,
    left_out: u64,
}

impl OriginLog {
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        let limit = Limit::new(rate, now);
        Self(Mutex::new(Lines { limit, left_out: 0 }))
    }

    /// Logs a request that was refused for its Origin.
    pub(crate) fn refused(&self, head: &Parts, now: Instant) {
        let Some(left_out) = self.admit(now) else { return };
        let shown = |name| {
            head.headers
                .get(name)
                .map_or_else(String::new, |value| short(value.as_bytes()))
        };
        tracing::info!(
            origin = shown(header::ORIGIN),
            host = shown(header::HOST),
            left_out,
            "upgrade refused: the Origin is not in POSTERN_ALLOWED_ORIGINS"
        );
    }

    /// Takes a line, and says how many were left out before it.
    fn admit(&self, now: Instant) -> Option<u64> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.limit.admit(now).is_err() {
            lines.left_out += 1;
            return None;
        }
        Some(std::mem::take(&mut lines.left_out))
    }
}

fn short(value: &[u8]) -> String {
    String::from_utf8_lossy(value).chars().take(MOST_LETTERS).collect()
}

const MOST_LETTERS: usize = 256;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Request;

    use super::*;

    fn is_let_in(origin: &[&str], host: &[&str]) -> bool {
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
    fn the_origin_of_the_requests_own_host_and_port_is_let_in() {
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
            assert!(is_let_in(&[origin], &[host]), "{origin} {host}");
        }
    }

    #[test]
    fn an_origin_of_another_host_or_port_is_not() {
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
            assert!(!is_let_in(&[origin], &[host]), "{origin} {host}");
        }
    }

    #[test]
    fn a_header_that_is_there_twice_or_not_at_all_names_no_own_host() {
        let own = "https://gateway.example.com";
        assert!(!is_let_in(&[own], &[]));
        assert!(!is_let_in(&[own], &["gateway.example.com", "gateway.example.com"]));
        assert!(!is_let_in(&[own, own], &["gateway.example.com"]));
        assert!(!is_let_in(
            &["https://app.example.com", "https://evil.com"],
            &["gateway.example.com"]
        ));
        assert!(is_let_in(&[], &["gateway.example.com"]));
    }

    #[tokio::test(start_paused = true)]
    async fn lines_are_limited_and_those_left_out_are_counted() {
        let start = Instant::now();
        let log = OriginLog::new(Rate::new(1, 2).unwrap(), start);
        let admitted: Vec<_> = (0..5).map(|_| log.admit(start)).collect();
        assert_eq!(admitted, [Some(0), Some(0), None, None, None]);
        let later = start + Duration::from_secs(1);
        assert_eq!((log.admit(later), log.admit(later)), (Some(3), None));
    }
}
