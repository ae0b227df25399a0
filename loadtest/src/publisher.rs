//! Publishes events through the internal API of a gateway, one after the other on one connection.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Connection to the internal API.
pub(crate) struct Publisher {
    stream: BufReader<TcpStream>,
    token: String,
}

impl Publisher {
    /// Connects to the internal listener.
    pub(crate) async fn new(internal: SocketAddr, token: String) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(internal)
            .await
            .context("connect to the internal API")?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
            token,
        })
    }

    /// Publishes an event for a user and waits until it is in the user's event log.
    pub(crate) async fn publish(&mut self, user: &str, event: &str) -> anyhow::Result<()> {
        let request = format!(
            "POST /v1/users/{user}/events HTTP/1.1\r\nHost: loadtest\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{event}",
            self.token,
            event.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        let (status, body) = self.answer().await?;
        if !status.contains(" 202 ") {
            bail!("{}: {}", status.trim(), String::from_utf8_lossy(&body));
        }
        Ok(())
    }

    async fn answer(&mut self) -> anyhow::Result<(String, Vec<u8>)> {
        let (mut status, mut length) = (String::new(), 0);
        self.stream.read_line(&mut status).await?;
        loop {
            let mut header = String::new();
            self.stream.read_line(&mut header).await?;
            match header.trim().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse()?,
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok((status, body))
    }
}
