//! Headers that keep browsers from rendering a response within another page, or as anything but what it says it is.

use axum::body::Body;
use http::header::{self, Entry, HeaderName, HeaderValue};
use http::{Response, StatusCode};

/// Adds the headers that a response lacks: pages have stricter or wider ones of their own. The response to an upgrade is no
/// document.
pub(super) fn add_missing(response: &mut Response<Body>) {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    for (name, value) in HEADERS {
        if let Entry::Vacant(missing) = response.headers_mut().entry(name) {
            missing.insert(HeaderValue::from_static(value));
        }
    }
}

const HEADERS: [(HeaderName, &str); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // For browsers without `frame-ancestors`.
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
    fn headers_of_a_page_are_kept_and_an_upgrade_gets_none() {
        let mut page = Response::new(Body::empty());
        let own = HeaderValue::from_static("default-src 'none'; script-src 'self'; frame-ancestors 'none'");
        page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, own.clone());
        add_missing(&mut page);
        assert_eq!(page.headers()[header::CONTENT_SECURITY_POLICY], own);
        assert_eq!(page.headers()[header::X_FRAME_OPTIONS], "DENY");
        assert_eq!(page.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");

        let mut upgrade = Response::new(Body::empty());
        *upgrade.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        add_missing(&mut upgrade);
        assert!(upgrade.headers().is_empty());
    }
}
