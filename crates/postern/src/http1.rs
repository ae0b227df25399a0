//! One request by HTTP/1.1 without TLS, to a port of a node.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, ToSocketAddrs};

/// Failed request; the node may have received it.
pub(crate) type RequestError = Box<dyn std::error::Error + Send + Sync>;

/// Sends the request on a connection of its own, and returns status and body, of 64 KiB at most. The caller sets the timeout.
///
/// # Errors
/// Connection, protocol, or a body that is too long.
pub(crate) async fn send(
    address: impl ToSocketAddrs,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, String), RequestError> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_RESPONSE)
            .collect()
            .await?
            .to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::pin!(connection);
    tokio::select! {
        response = exchange => response,
        ended = &mut connection => Err(ended.err().map_or_else(|| "the connection was closed".into(), Into::into)),
    }
}

const MAX_RESPONSE: usize = 64 * 1024;
