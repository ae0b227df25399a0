//! Connection to the API that publishes events: requests one after the other.

use std::sync::Arc;

use anyhow::{Context, bail};
use memchr::memmem;
use serde::Deserialize;
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
        let publish = |kind| match kind {
            ApiKind::Users => (format!("/v1/users/{user}/events"), event.to_string()),
            ApiKind::Centrifugo => {
                let body = json!({ "channel": format!("#{user}"), "data": event });
                ("/api/publish".to_owned(), body.to_string())
            }
        };
        self.post_to_current(publish).await?;
        Ok(())
    }

    /// Publishes events `{userId, event, data, idempotencyKey?}` by one request of Postern's internal API; returns for each whether it is
    /// accepted.
    pub(crate) async fn publish_batch(&mut self, events: &[&Value]) -> anyhow::Result<Vec<Accepted>> {
        let publish = |_| ("/v1/events".to_owned(), json!({ "events": events }).to_string());
        let results = batch_results(self.post_to_current(publish).await?)?;
        if results.len() != events.len() {
            bail!("{} results for {} events", results.len(), events.len());
        }
        Ok(results)
    }

    /// Sends the path and the body for the kind of the API in use; returns the body of the response.
    async fn post_to_current(&mut self, request: impl FnOnce(ApiKind) -> (String, String)) -> anyhow::Result<&[u8]> {
        let apis = Arc::clone(&self.apis);
        let api = apis.get(self.current % apis.len()).context("no API")?;
        let (path, body) = request(api.kind);
        let answered = self.post(api, &path, &body).await;
        if self.stream.is_none() {
            self.current += 1;
        }
        Ok(self.response.get(answered?..).unwrap_or_default())
    }

    /// Sends a request; returns where the body begins in the response.
    async fn post(&mut self, api: &Api, path: &str, body: &str) -> anyhow::Result<usize> {
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
        Ok(head.bytes)
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

/// Verdict of an API on an event of a batch: accepted, or the reason why not.
pub(crate) type Accepted = Result<(), String>;

/// Results in the body of a response to a batch, in the sequence of its events.
fn batch_results(body: &[u8]) -> anyhow::Result<Vec<Accepted>> {
    #[derive(Deserialize)]
    struct Response {
        results: Vec<EventResult>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum EventResult {
        Failed {
            error: String,
            message: String,
        },
        Accepted {
            #[serde(rename = "eventId")]
            _event_id: String,
        },
    }
    let response: Response = serde_json::from_slice(body).context("decode the results of a batch")?;
    let accepted = response.results.into_iter().map(|result| match result {
        EventResult::Accepted { .. } => Ok(()),
        EventResult::Failed { error, message } => Err(format!("{error}: {message}")),
    });
    Ok(accepted.collect())
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
    fn results_of_a_batch_are_accepted_only_with_an_event_id() {
        let failed = r#"{"error":"unavailable","message":"Try again."}"#;
        let body = format!(r#"{{"results":[{{"eventId":"e"}},{failed}]}}"#);
        let expected = [Ok(()), Err("unavailable: Try again.".to_owned())];
        assert_eq!(batch_results(body.as_bytes()).unwrap(), expected);
        for other in [r#"{"results":[{}]}"#, r#"{"eventId":"e"}"#, ""] {
            assert!(batch_results(other.as_bytes()).is_err(), "{other}");
        }
    }

    #[test]
    fn incomplete_head_is_none_and_a_chunked_response_an_error() {
        assert_eq!(Head::parse(b"HTTP/1.1 202 Accepted\r\nContent-").unwrap(), None);
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }
}
