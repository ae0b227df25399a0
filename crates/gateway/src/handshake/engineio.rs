//! The rules of Engine.IO 4 at the HTTP edge, in the reference's order (engine.io 6.6, `Server.verify`).

use http::header::UPGRADE;
use http::request::Parts;
use http::{Method, Version};

use super::refusal::{EngineError, Refusal};
use super::upgrade::{Query, lists};

/// Checks what Engine.IO asks of an upgrade. Unknown parameters (`t`, `b64`, the application's own) are ignored.
pub(super) fn check(head: &Parts, query: &Query) -> Result<(), Refusal> {
    let refuse = |error| Err(Refusal::Engine(error));
    if query.get("transport") != Some("websocket") {
        // Long polling needs all requests of a session on one node; gateways keep none of it.
        return refuse(EngineError::UnknownTransport);
    }
    if query.get("sid").is_some() {
        // Only an upgrade from polling brings one.
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

    use super::super::upgrade::{Endpoint, judge};
    use super::*;
    use crate::settings::Origins;

    fn refusal(method: &str, query: &str, upgrade: bool) -> Refusal {
        let mut request = Request::builder().method(method).uri(format!("/socket.io/?{query}"));
        if upgrade {
            request = request.header("Upgrade", "websocket");
        }
        let head = request.body(()).unwrap().into_parts().0;
        judge(Endpoint::SocketIo, &head, &Origins::none()).unwrap_err()
    }

    #[test]
    fn each_rule_has_the_code_of_the_reference() {
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
                Refusal::Engine(error),
                "{method} {query}"
            );
        }
    }
}
