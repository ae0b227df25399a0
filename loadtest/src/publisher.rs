//! Publishes events through the internal API of a gateway, one after the other on one connection.

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::address::Address;

/// Connection to the internal API.
pub(crate) struct Publisher {
    internal: Address,
    token: String,
    /// `None` once the server has asked to close it.
    stream: Option<BufReader<TcpStream>>,
}

impl Publisher {
    /// Connects to the internal listener.
    pub(crate) async fn new(internal: Address, token: String) -> anyhow::Result<Self> {
        let stream = connect(&internal).await?;
        Ok(Self {
            internal,
            token,
            stream: Some(stream),
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
        // Taken: after an error the connection is of no use.
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(&self.internal).await?,
        };
        stream.write_all(request.as_bytes()).await?;
        let answer = Answer::read(&mut stream).await?;
        self.stream = (!answer.closes).then_some(stream);
        if !answer.status.contains(" 202 ") {
            bail!("{}: {}", answer.status.trim(), String::from_utf8_lossy(&answer.body));
        }
        Ok(())
    }
}

async fn connect(internal: &Address) -> anyhow::Result<BufReader<TcpStream>> {
    let stream = internal.connect().await.context("connect to the internal API")?;
    Ok(BufReader::new(stream))
}

/// Response of the internal API.
struct Answer {
    status: String,
    body: Vec<u8>,
    /// True if the server closes the connection after it.
    closes: bool,
}

impl Answer {
    async fn read(stream: &mut BufReader<TcpStream>) -> anyhow::Result<Self> {
        let (mut status, mut length, mut closes) = (String::new(), 0, false);
        if stream.read_line(&mut status).await? == 0 {
            bail!("the connection was closed before an answer");
        }
        loop {
            let mut header = String::new();
            stream.read_line(&mut header).await?;
            let Some((name, value)) = header.trim().split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            } else if name.eq_ignore_ascii_case("connection") {
                closes = value.trim().eq_ignore_ascii_case("close");
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        Ok(Self { status, body, closes })
    }
}
