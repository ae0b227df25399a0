//! `postern healthcheck`: readiness of the node in this container, for images without a shell or an HTTP client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http_body_util::Full;
use hyper::{Request, StatusCode, header};

use crate::cli::HealthcheckArgs;
use crate::http1::{self, RequestError};

/// Node that is not ready or does not respond.
#[derive(Debug, thiserror::Error)]
pub enum HealthcheckError {
    /// No response in time.
    #[error("ask http://{address}/readyz")]
    NoResponse {
        /// Address of the health listener.
        address: SocketAddr,
        /// Cause.
        #[source]
        source: RequestError,
    },
    /// Response other than 200.
    #[error("not ready: {status}: {body}")]
    NotReady {
        /// HTTP status.
        status: StatusCode,
        /// Body of the response, in one line.
        body: String,
    },
}

/// Asks the health listener's `/readyz`, and returns its response in one line.
///
/// # Errors
/// [`HealthcheckError`].
pub(crate) async fn healthcheck(args: &HealthcheckArgs) -> Result<String, HealthcheckError> {
    let address = reachable(args.health_listen);
    let outcome = tokio::time::timeout(args.timeout, readiness(address)).await;
    let (status, body) = outcome
        .unwrap_or_else(|late| Err(late.into()))
        .map_err(|source| HealthcheckError::NoResponse { address, source })?;
    let body = body.lines().collect::<Vec<_>>().join(", ");
    if status == StatusCode::OK {
        Ok(body)
    } else {
        Err(HealthcheckError::NotReady { status, body })
    }
}

async fn readiness(address: SocketAddr) -> Result<(StatusCode, String), RequestError> {
    let request = Request::get("/readyz")
        .header(header::HOST, address.to_string())
        .header(header::CONNECTION, "close")
        .body(Full::default())?;
    http1::send(address, request).await
}

/// Address for connections to this listener: an unspecified address is reached on loopback.
fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        specific => specific,
    };
    SocketAddr::new(ip, listener.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unspecified_listener_is_asked_on_loopback() {
        for (listener, asked) in [
            ("0.0.0.0:9090", "127.0.0.1:9090"),
            ("[::]:9090", "[::1]:9090"),
            ("127.0.0.1:19090", "127.0.0.1:19090"),
            ("192.0.2.7:9090", "192.0.2.7:9090"),
            ("[2001:db8::7]:9090", "[2001:db8::7]:9090"),
        ] {
            assert_eq!(reachable(listener.parse().unwrap()).to_string(), asked);
        }
    }
}
