//! One request by HTTP/1.1, with or without TLS, to a port of a node.

use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio_rustls::TlsConnector;

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
    exchange(TcpStream::connect(address).await?, request).await
}

/// Sends the request as [`send`], over TLS, to `host:port`. The server must have a certificate for the host.
///
/// # Errors
/// As [`send`], and of TLS.
pub(crate) async fn send_tls(
    authority: &str,
    config: ClientConfig,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, String), RequestError> {
    let (host, _port) = authority.rsplit_once(':').ok_or("host and port were expected")?;
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
    let tcp = TcpStream::connect(authority).await?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
    exchange(stream, request).await
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, String), RequestError> {
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
    tokio::pin!(exchange);
    tokio::select! {
        response = &mut exchange => response,
        ended = connection => {
            ended?;
            // The response may have come with the end of the connection; without one, this is an error at once.
            exchange.await
        }
    }
}

const MAX_RESPONSE: usize = 64 * 1024;
