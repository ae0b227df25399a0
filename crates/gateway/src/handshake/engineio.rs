//! Checks of Engine.IO 4 on the upgrade request, in the order of the reference implementation (engine.io 6.6, `Server.verify`).

use http::header::UPGRADE;
use http::request::Parts;
use http::{Method, Version};

use super::refusal::{EngineError, UpgradeRefusal};
use super::request::{QueryParams, lists};

/// Checks an upgrade request. Unknown parameters (`t`, `b64`, the application's own) are ignored.
pub(super) fn check(head: &Parts, query: &QueryParams) -> Result<(), UpgradeRefusal> {
    let refuse = |error| Err(UpgradeRefusal::Engine(error));
    if query.get("transport") != Some("websocket") {
        // Long polling would need all requests of a session on one node.
        return refuse(EngineError::UnknownTransport);
    }
    if query.get("sid").is_some() {
        // Only an upgrade from long polling has a session id.
        return refuse(EngineError::UnknownSession);
    }
    if head.method != Method::GET {
        return refuse(EngineError::BadMethod);
    }
    if head.version != Version::HTTP_11 || !lists(&head.headers, UPGRADE, "websocket") {
        return refuse(EngineError::BadRequest);
    }
    if query.get("EIO") != Some("4") {
        return refuse(EngineError::UnsupportedVersion);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn refusal(method: &str, query: &str, upgrade: bool) -> UpgradeRefusal {
        let mut request = Request::builder().method(method).uri(format!("/socket.io/?{query}"));
        if upgrade {
            request = request.header("Upgrade", "websocket");
        }
        let head = request.body(()).unwrap().into_parts().0;
        check(&head, &QueryParams::of(&head)).unwrap_err()
    }

    #[test]
    fn each_violation_has_the_reference_error_code() {
        let cases = [
            ("GET", "EIO=4&transport=polling", false, EngineError::UnknownTransport),
            ("GET", "EIO=4", true, EngineError::UnknownTransport),
            (
                "GET",
                "EIO=4&transport=websocket&sid=x",
                true,
                EngineError::UnknownSession,
            ),
            ("POST", "EIO=4&transport=websocket", true, EngineError::BadMethod),
            ("GET", "EIO=4&transport=websocket", false, EngineError::BadRequest),
            (
                "GET",
                "EIO=3&transport=websocket",
                true,
                EngineError::UnsupportedVersion,
            ),
            ("GET", "transport=websocket", true, EngineError::UnsupportedVersion),
        ];
        for (method, query, upgrade, error) in cases {
            assert_eq!(
                refusal(method, query, upgrade),
                UpgradeRefusal::Engine(error),
                "{method} {query}"
            );
        }
    }
}
