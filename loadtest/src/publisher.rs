//! Connection to the API that publishes events: requests one after the other.

use std::sync::Arc;

use anyhow::{Context, bail};
use memchr::memmem;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::address::Address;

/// API of a server that publishes events, HTTP without TLS.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) address: Address,
    /// Bearer token, or API key of Centrifugo.
    pub(crate) token: String,
    pub(crate) kind: ApiKind,
}

/// Requests of an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ApiKind {
    /// `POST /v1/users/{user}/events`: Postern's internal API, which the servers of Socket.IO in `peers` have too.
    Users,
    /// `POST /api/publish` to the user's personal channel.
    Centrifugo,
}

/// Connection to one of several APIs, and to the next one when it fails.
pub(crate) struct Publisher {
    apis: Arc<[Api]>,
    /// Number of the API in use, modulo their count.
    current: usize,
    /// `None` before the first request, and once the server has closed it or asked to close it.
    stream: Option<TcpStream>,
    request: Vec<u8>,
    response: Vec<u8>,
}

impl Publisher {
    /// Publisher that connects with its first request.
    ///
    /// # Errors
    /// If there is no API.
    pub(crate) fn new(apis: Vec<Api>, first: usize) -> anyhow::Result<Self> {
        if apis.is_empty() {
            bail!("no API to publish by");
        }
        Ok(Self {
            apis: apis.into(),
            current: first,
            stream: None,
            request: Vec::new(),
            response: Vec::new(),
        })
    }

    /// Publishes an event `{event, data, idempotencyKey?}` to a user, and waits until it is accepted.
    pub(crate) async fn publish(&mut self, user: &str, event: &Value) -> anyhow::Result<()> {
        let apis = Arc::clone(&self.apis);
        let api = apis.get(self.current % apis.len()).context("no API")?;
        let (path, body) = match api.kind {
            ApiKind::Users => (format!("/v1/users/{user}/events"), event.to_string()),
            ApiKind::Centrifugo => {
                let body = json!({ "channel": format!("#{user}"), "data": event });
                ("/api/publish".to_owned(), body.to_string())
            }
        };
        let published = self.post(api, &path, &body).await;
        if self.stream.is_none() {
            self.current += 1;
        }
        published
    }

    async fn post(&mut self, api: &Api, path: &str, body: &str) -> anyhow::Result<()> {
        self.request.clear();
        let authorization = match api.kind {
            ApiKind::Users => "Authorization: Bearer",
            ApiKind::Centrifugo => "X-API-Key:",
        };
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: loadtest\r\n{authorization} {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            api.token,
            body.len()
        );
        self.request.extend_from_slice(head.as_bytes());
        self.request.extend_from_slice(body.as_bytes());
        // Taken: after an error the connection is of no use.
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => api.address.connect().await.context("connect to the API")?,
        };
        stream.write_all(&self.request).await?;
        let head = self.read(&mut stream).await?;
        if !head.closes {
            self.stream = Some(stream);
        }
        let body = self.response.get(head.bytes..).unwrap_or_default();
        // Centrifugo answers 200 with an `error`.
        if !matches!(head.status, 200 | 202) || body.starts_with(br#"{"error""#) {
            bail!("status {}: {}", head.status, String::from_utf8_lossy(body).trim());
        }
        Ok(())
    }

    /// Reads one response.
    async fn read(&mut self, stream: &mut TcpStream) -> anyhow::Result<Head> {
        self.response.clear();
        loop {
            if stream.read_buf(&mut self.response).await? == 0 {
                bail!("the connection was closed before an answer");
            }
            if let Some(head) = Head::parse(&self.response)?
                && self.response.len() >= head.bytes + head.body
            {
                return Ok(head);
            }
        }
    }
}

/// Head of a response.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Length of the head.
    bytes: usize,
    /// Length of the body.
    body: usize,
    /// True if the server closes the connection after it.
    closes: bool,
}

impl Head {
    /// Head of these bytes, if they have all of it.
    fn parse(bytes: &[u8]) -> anyhow::Result<Option<Self>> {
        let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
            return Ok(None);
        };
        let text = std::str::from_utf8(bytes.get(..end).unwrap_or_default())?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let mut head = Self {
            status: status.context("no status")?.parse()?,
            bytes: end + 4,
            body: 0,
            closes: false,
        };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                head.body = value.trim().parse()?;
            } else if name.eq_ignore_ascii_case("connection") {
                head.closes = value.trim().eq_ignore_ascii_case("close");
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                bail!("a response without a length is not supported");
            }
        }
        Ok(Some(head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_has_status_lengths_and_whether_the_connection_ends() {
        let response = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\nconnection: Close\r\n\r\n{}";
        let head = Head::parse(response).unwrap().unwrap();
        assert_eq!((head.status, head.bytes, head.body, head.closes), (503, 74, 2, true));
        let kept = Head::parse(b"HTTP/1.1 202 Accepted\r\n\r\n").unwrap().unwrap();
        assert_eq!((kept.status, kept.body, kept.closes), (202, 0, false));
    }

    #[test]
    fn incomplete_head_is_none_and_a_chunked_response_an_error() {
        assert_eq!(Head::parse(b"HTTP/1.1 202 Accepted\r\nContent-").unwrap(), None);
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }
}
