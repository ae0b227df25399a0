//! A live socket: answers pings, and detects its end.

use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::SinkExt;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::deflate::{self, FrameScanner};
use crate::dialect::{Dialect, Event, Received};

/// WebSocket over TLS.
pub(crate) type Socket = WebSocketStream<FrameScanner<TlsStream<TcpStream>>>;

/// Live socket. Dropping it ends the connection without a Close frame.
pub(crate) struct Client {
    socket: Socket,
    dialect: Dialect,
    resume_token: Option<String>,
}

/// Message for the user of a client.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// Message with one or more events.
    Events(Message),
    /// Answer to the request with this id.
    Answer(u64),
}

impl Client {
    /// Client of a socket that is authenticated.
    pub(crate) fn new(socket: Socket, dialect: Dialect, resume_token: Option<String>) -> Self {
        Self {
            socket,
            dialect,
            resume_token,
        }
    }

    /// Resume token that the server gave.
    pub(crate) fn resume_token(&self) -> Option<&str> {
        self.resume_token.as_deref()
    }

    /// Receives the next events or answer, and answers pings meanwhile; an error is the end of the connection.
    pub(crate) async fn receive(&mut self) -> anyhow::Result<Incoming> {
        loop {
            let message = deflate::receive(&mut self.socket).await?;
            let message = message.context("the connection ended")?;
            match self.dialect.classify(&message) {
                Received::Events => return Ok(Incoming::Events(message)),
                Received::Answer(id) => return Ok(Incoming::Answer(id)),
                Received::Ping(pong) => self.socket.send(pong).await?,
                Received::End(reason) => bail!("{reason}"),
                Received::Other => {}
            }
        }
    }

    /// Receives the next events.
    pub(crate) async fn receive_events(&mut self) -> anyhow::Result<Vec<Event>> {
        loop {
            if let Incoming::Events(message) = self.receive().await? {
                return Ok(self.dialect.events(&message));
            }
        }
    }

    /// Sends a request.
    pub(crate) async fn request(&mut self, event: &str, data: &Value, id: u64) -> anyhow::Result<()> {
        let request = self.dialect.request(event, data, id)?;
        Ok(self.socket.send(request).await?)
    }

    /// Closes the connection and waits for the server's Close frame.
    pub(crate) async fn close(mut self) -> anyhow::Result<()> {
        self.socket.close(None).await?;
        timeout(PATIENCE, self.end()).await.context("the server did not close")
    }

    /// Reads until the connection has ended.
    pub(crate) async fn end(mut self) {
        while let Ok(Some(_)) = deflate::receive(&mut self.socket).await {}
    }
}

/// Event that no server knows: an error answers its request.
pub(crate) const UNKNOWN_EVENT: &str = "account:teleport";
const PATIENCE: Duration = Duration::from_secs(30);
