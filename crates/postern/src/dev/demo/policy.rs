//! Security policy of the demo: the headers of each response, and the origins that may call its API.

use axum::response::Response;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, StatusCode};
use protocol::code::ErrorCode;

use super::cluster_view::ClusterView;
use super::refusal::Refusal;

/// Refuses a request that does not come from a page of the gateways themselves. Every other page in the same browser can send requests to
/// a loopback address; browsers name its origin, and do not let it be forged.
///
/// # Errors
/// 403 for a missing, repeated or foreign `Origin`.
pub(super) fn check_origin(cluster: &ClusterView, headers: &HeaderMap) -> Result<(), Refusal> {
    match own_origin(cluster, headers) {
        Some(_) => Ok(()),
        None => Err(Refusal::new(
            StatusCode::FORBIDDEN,
            ErrorCode::Forbidden,
            "Only the demo's own page may call this: the Origin is not one of the gateways'.",
        )),
    }
}

/// Response to the preflight of a request with this method (Fetch standard, "CORS-preflight fetch").
pub(super) fn preflight(method: &Method) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    if let Ok(method) = HeaderValue::try_from(method.as_str()) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, method);
    }
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("content-type"),
    );
    response
}

/// Adds the headers of every response, and those of CORS for a page of the gateways.
pub(super) fn add_headers(cluster: &ClusterView, simulator: &simulator::Handle, head: &Parts, response: &mut Response) {
    let headers = response.headers_mut();
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::try_from(content_policy(cluster, simulator.url())) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if let Some(origin) = own_origin(cluster, &head.headers) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
}

/// The `Origin` of a request, if it is one of the gateways'.
fn own_origin<'a>(cluster: &ClusterView, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let origin = origins.next().filter(|_| origins.next().is_none())?;
    let is_own = cluster.origins.iter().any(|own| own.as_bytes() == origin.as_bytes());
    is_own.then_some(origin)
}

/// Content Security Policy: files of the page itself, pictures of the simulator's accounts, and connections to both gateways.
fn content_policy(cluster: &ClusterView, simulator: &str) -> String {
    let mut connections = String::new();
    for origin in &cluster.origins {
        let socket = origin.replacen("https://", "wss://", 1);
        connections.push_str(&format!(" {origin} {socket}"));
    }
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: {simulator}; connect-src 'self'{connections}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// Headers of every response.
const FIXED: [(HeaderName, &str); 7] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::VARY, "Origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> ClusterView {
        ClusterView {
            gateways: Vec::new(),
            origins: vec!["https://127.0.0.1:8443".to_owned(), "https://localhost:8444".to_owned()],
        }
    }

    #[test]
    fn only_one_exact_origin_of_the_gateways_is_admitted() {
        let admitted = |origins: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for origin in origins {
                headers.append(header::ORIGIN, HeaderValue::from_static(origin));
            }
            check_origin(&cluster(), &headers).is_ok()
        };
        assert!(admitted(&["https://127.0.0.1:8443"]));
        assert!(admitted(&["https://localhost:8444"]));
        for refused in [
            "https://127.0.0.1:8444",
            "http://127.0.0.1:8443",
            "https://127.0.0.1:84430",
            "https://127.0.0.1",
            "https://127.0.0.1:8443.evil.example",
            "https://evil.example",
            "null",
            "",
        ] {
            assert!(!admitted(&[refused]), "{refused}");
        }
        assert!(!admitted(&[]));
        assert!(!admitted(&["https://127.0.0.1:8443", "https://evil.example"]));
    }

    #[test]
    fn policy_names_each_gateway_and_nothing_else() {
        assert_eq!(
            content_policy(&cluster(), "http://127.0.0.1:9100"),
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: http://127.0.0.1:9100; connect-src 'self' \
             https://127.0.0.1:8443 wss://127.0.0.1:8443 https://localhost:8444 wss://localhost:8444; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'"
        );
    }
}
