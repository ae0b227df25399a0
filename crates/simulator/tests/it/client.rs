//! Simulator that runs beside a test, and a client for it: one connection per request, no redirects.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use futures_util::future::join;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use simulator::{CLIENT_ID, CLIENT_SECRET, Handle, Simulator};
use tokio::net::TcpStream;
use url::Url;

/// Deadline of a test: ten times what the slowest one needs on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Runs `test` against a simulator of its own.
pub(crate) async fn simulate(test: impl AsyncFnOnce(Client)) {
    let simulator = Simulator::bind(([127, 0, 0, 1], 0).into(), 7).await.unwrap();
    let client = Client {
        handle: simulator.handle(),
    };
    tokio::select! {
        () = simulator.serve(std::future::pending()) => {}
        outcome = tokio::time::timeout(DEADLINE, test(client)) => outcome.unwrap(),
    }
}

/// Waits until `reached`, by polling.
pub(crate) async fn until(mut reached: impl FnMut() -> bool) {
    while !reached() {
        tokio::task::yield_now().await;
    }
}

/// Client of one simulator.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) handle: Handle,
}

/// Answer with its whole body.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub(crate) fn form(&self) -> HashMap<String, String> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }

    /// Query of the `Location` header.
    pub(crate) fn location(&self) -> HashMap<String, String> {
        Url::parse(self.header("location"))
            .unwrap()
            .query_pairs()
            .into_owned()
            .collect()
    }
}

impl Client {
    /// Sends the request that `request` makes of one with a user agent.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, &str)],
        body: &str,
    ) -> hyper::Result<Answer> {
        let mut request = Request::new(Full::<Bytes>::from(body.to_owned()));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap();
        let all = [(header::HOST, "127.0.0.1"), (header::USER_AGENT, "test")];
        for (name, value) in all.iter().chain(headers) {
            request
                .headers_mut()
                .insert(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        let address = self.handle.url().strip_prefix("http://").unwrap();
        let socket = TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        let exchange = async move {
            let (parts, body) = sender.send_request(request).await?.into_parts();
            Ok(Answer {
                status: parts.status,
                headers: parts.headers,
                body: body.collect().await?.to_bytes(),
            })
        };
        join(exchange, connection).await.0
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(HeaderName, &str)]) -> Answer {
        self.send(Method::GET, path, headers, "").await.unwrap()
    }

    /// Sends URL-encoded parameters.
    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)], headers: &[(HeaderName, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let mut all = vec![(header::CONTENT_TYPE, "application/x-www-form-urlencoded")];
        all.extend_from_slice(headers);
        self.send(Method::POST, path, &all, &body).await.unwrap()
    }

    /// Sends JSON.
    pub(crate) async fn json(
        &self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, &str)],
        body: &Value,
    ) -> Answer {
        let mut all = vec![(header::CONTENT_TYPE, "application/json")];
        all.extend_from_slice(headers);
        self.send(method, path, &all, &body.to_string()).await.unwrap()
    }

    /// Exchanges a code at GitHub's token endpoint and requests JSON.
    pub(crate) async fn exchange(&self, code: &str, more: &[(&str, &str)]) -> Value {
        let mut form = vec![
            ("client_id", CLIENT_ID),
            ("client_secret", CLIENT_SECRET),
            ("code", code),
        ];
        form.extend_from_slice(more);
        let answer = self.post(TOKEN, &form, &[(header::ACCEPT, "application/json")]).await;
        assert_eq!(answer.status, StatusCode::OK, "GitHub answers 200, errors included");
        answer.json()
    }

    /// Valid token of this account, as an `Authorization` header.
    pub(crate) async fn bearer(&self, login: &str) -> String {
        let answer = self.exchange(&format!("test_code_{login}"), &[]).await;
        format!("Bearer {}", answer["access_token"].as_str().unwrap())
    }
}

pub(crate) const TOKEN: &str = "/github/login/oauth/access_token";
