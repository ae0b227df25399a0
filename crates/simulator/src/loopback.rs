//! Guard before every route: names of this machine only, no controls for pages of other origins, and headers that keep browsers
//! from rendering a response as a page, or within another one.

use std::net::IpAddr;

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, header::Entry};

use crate::html::HtmlPage;

/// Refuses requests by another name (DNS rebinding) and changes by pages of another origin, and adds the security headers that a
/// response lacks.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    let mut response = match refusal(request.method(), request.headers()) {
        Some(sentence) => HtmlPage::error(StatusCode::FORBIDDEN, sentence).into_response(),
        None => next.run(request).await,
    };
    for (name, value) in HEADERS {
        if let Entry::Vacant(missing) = response.headers_mut().entry(name) {
            missing.insert(HeaderValue::from_static(value));
        }
    }
    response
}

fn refusal(method: &Method, headers: &HeaderMap) -> Option<&'static str> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(host) = host.filter(|host| is_loopback(host)) else {
        return Some("The simulator answers to localhost and loopback addresses only.");
    };
    let is_foreign = |origin: &HeaderValue| origin.as_bytes() != format!("http://{host}").as_bytes();
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    (!is_read && headers.get(header::ORIGIN).is_some_and(is_foreign))
        .then_some("The simulator takes no forms and no controls from pages of another origin.")
}

/// Reports whether the `Host` header names this machine.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

const HEADERS: [(HeaderName, &str); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_this_machine_are_accepted_and_others_are_not() {
        for host in [
            "localhost",
            "LOCALHOST:9100",
            "127.0.0.1:9100",
            "127.1.2.3",
            "[::1]:9100",
            "[::1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9100",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "10.0.0.1:9100",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn changes_are_refused_to_pages_of_another_origin() {
        let refused = |method: Method, origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:9100"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            refusal(&method, &headers).is_some()
        };
        for origin in [
            "https://evil.example",
            "null",
            "http://127.0.0.1:9101",
            "http://localhost:9100",
        ] {
            assert!(refused(Method::POST, Some(origin)), "{origin}");
            assert!(refused(Method::DELETE, Some(origin)), "{origin}");
            assert!(!refused(Method::GET, Some(origin)), "{origin}");
        }
        assert!(!refused(Method::POST, Some("http://127.0.0.1:9100")));
        assert!(!refused(Method::POST, None), "a program, not a page");
    }
}
