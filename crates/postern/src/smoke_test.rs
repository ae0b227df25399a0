//! `postern smoke-test`: one alert, from the internal API to a client's socket.

mod expected_certificate;

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::StreamExt;
use hyper::header;
use hyper::http::HeaderValue;
use lifecycle::Clock;
use protocol::secret::Secret;
use protocol::time::Timestamp;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};

use self::expected_certificate::ExpectedCertificate;
use crate::cli::{PublishArgs, SmokeTestArgs, TokenArgs};
use crate::publish::{PublishError, publish};
use crate::token::{self, TokenError};

/// Failed step of the test.
#[derive(Debug, thiserror::Error)]
pub enum SmokeTestError {
    /// The token's file cannot be read.
    #[error("read {}", .0.display())]
    TokenFile(PathBuf, #[source] std::io::Error),
    /// No token could be made.
    #[error("create a token for the test")]
    Token(#[source] TokenError),
    /// The certificate's file cannot be used.
    #[error("read a certificate from {}", .0.display())]
    Certificate(PathBuf, #[source] rustls::pki_types::pem::Error),
    /// `--gateway` is not `host:port`.
    #[error("--gateway must be host:port")]
    Address,
    /// The gateway was not reached, or presents another certificate.
    #[error("connect to {0} by TLS")]
    Connect(String, #[source] std::io::Error),
    /// The host cannot be a server name.
    #[error("--gateway")]
    ServerName(#[from] InvalidDnsNameError),
    /// The TLS settings are invalid.
    #[error("set up TLS")]
    Tls(#[from] rustls::Error),
    /// The token cannot be sent in a header.
    #[error("the token cannot be sent in a header")]
    Header,
    /// The gateway refused the client.
    #[error("open a WebSocket")]
    Upgrade(#[source] Box<tungstenite::Error>),
    /// The socket failed or was closed.
    #[error("receive {awaited}")]
    Receive {
        /// Event that was awaited.
        awaited: &'static str,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The alert was not published.
    #[error("publish an alert")]
    Publish(#[source] PublishError),
    /// The test took too long.
    #[error("no alert within the time limit: last completed step: {0}")]
    Late(&'static str),
}

/// Opens a client's socket, publishes an alert for its user, and waits until the socket receives it.
///
/// # Errors
/// [`SmokeTestError`], for the first step that fails.
pub(crate) async fn smoke_test(args: &SmokeTestArgs, clock: &dyn Clock) -> Result<String, SmokeTestError> {
    let mut completed = "none";
    let steps = async {
        let mut socket = Box::pin(connect(args, &token(args, clock)?)).await?;
        completed = "TLS and upgrade";
        receive(&mut socket, "ready", |_| true).await?;
        completed = "token accepted";
        // Tells this alert from those of earlier tests.
        let message = format!("smoke test at {}", Timestamp::from(clock.now()).as_millis());
        let data = json!({"severity": "low", "type": "new_device", "message": message, "requiresAction": false});
        publish(&alert(args, &data)).await.map_err(SmokeTestError::Publish)?;
        completed = "alert published";
        receive(&mut socket, "security:alert", |data| data["message"] == message).await
    };
    let outcome = tokio::time::timeout(args.timeout, steps).await;
    outcome.unwrap_or(Err(SmokeTestError::Late(completed)))?;
    Ok("an alert published at the internal API was received on a client's socket".to_owned())
}

type Socket = WebSocketStream<TlsStream<TcpStream>>;

fn token(args: &SmokeTestArgs, clock: &dyn Clock) -> Result<Secret, SmokeTestError> {
    if let Some(file) = &args.token_file {
        let text = std::fs::read_to_string(file).map_err(|error| SmokeTestError::TokenFile(file.clone(), error))?;
        return Ok(Secret::new(text.trim()));
    }
    let wanted = TokenArgs {
        user: args.user.clone(),
        sid: None,
        ttl: args.timeout * 2,
        secret: args.secret.clone(),
        dir: args.dir.clone(),
    };
    token::create(&wanted, clock)
        .map(Secret::new)
        .map_err(SmokeTestError::Token)
}

async fn connect(args: &SmokeTestArgs, token: &Secret) -> Result<Socket, SmokeTestError> {
    let certificate =
        ExpectedCertificate::read(&args.cert).map_err(|error| SmokeTestError::Certificate(args.cert.clone(), error))?;
    let (host, _port) = args.gateway.rsplit_once(':').ok_or(SmokeTestError::Address)?;
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
    let failed = |error| SmokeTestError::Connect(args.gateway.clone(), error);
    let tcp = TcpStream::connect(&args.gateway).await.map_err(failed)?;
    let tls = TlsConnector::from(Arc::new(certificate.client()?));
    let stream = tls.connect(name, tcp).await.map_err(failed)?;

    let url = format!("wss://{}/ws", args.gateway);
    let mut request = url.into_client_request().map_err(upgrade)?;
    let bearer = format!("Bearer {}", token.expose());
    let bearer = HeaderValue::try_from(bearer).map_err(|_repeats_it| SmokeTestError::Header)?;
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    let protocol = HeaderValue::from_static("postern.v1.json");
    request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    let upgraded = Box::pin(tokio_tungstenite::client_async(request, stream)).await;
    let (socket, _response) = upgraded.map_err(upgrade)?;
    Ok(socket)
}

fn upgrade(error: tungstenite::Error) -> SmokeTestError {
    SmokeTestError::Upgrade(Box::new(error))
}

fn alert(args: &SmokeTestArgs, data: &Value) -> PublishArgs {
    PublishArgs {
        user: args.user.clone(),
        event: "security:alert".to_owned(),
        data: data.to_string(),
        idempotency_key: None,
        api: args.api.clone(),
        dir: args.dir.clone(),
    }
}

/// Waits for an event whose data is the one that is looked for; others are ignored, as a user may have open alerts.
async fn receive(
    socket: &mut Socket,
    awaited: &'static str,
    is_wanted: impl Fn(&Value) -> bool,
) -> Result<(), SmokeTestError> {
    let failed = |source| SmokeTestError::Receive { awaited, source };
    loop {
        let message = socket.next().await.ok_or_else(|| failed("the socket ended".into()))?;
        let text = match message.map_err(|error| failed(error.into()))? {
            Message::Text(text) => text,
            Message::Close(frame) => {
                let why = frame.map_or_else(
                    || "closed without a code".to_owned(),
                    |frame| format!("closed: {frame}"),
                );
                return Err(failed(why.into()));
            }
            _ => continue,
        };
        let content: Value = serde_json::from_str(&text).map_err(|error| failed(error.into()))?;
        // Several events may arrive as one array.
        let frames = content.as_array().map_or(std::slice::from_ref(&content), Vec::as_slice);
        if frames
            .iter()
            .any(|frame| frame["event"] == awaited && is_wanted(&frame["data"]))
        {
            return Ok(());
        }
    }
}
