//! Socket.IO server with a publish endpoint that breaks a promise for one event in ten, or for all requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{SinkExt, StreamExt};
use jsonwebtoken::dangerous::insecure_decode_claims;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use serde_json::{Value, json};
use testkit::tls::Authority;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::accept_async_with_config;
use tokio_tungstenite::tungstenite::Message;

/// Broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Accepts the event and delivers it to nobody.
    Lost,
    /// Delivers the event twice.
    Twice,
    /// Delivers the event after the next one.
    Reordered,
    /// Neither accepts nor delivers the event.
    Refused,
    /// Closes all connections instead, once.
    Closed,
    /// Answers no request of a socket.
    Unanswered,
}

/// Running server.
pub(crate) struct UnreliableServer {
    pub(crate) gateway: SocketAddr,
    pub(crate) api: SocketAddr,
    /// Requests to the API so far.
    pub(crate) requests: Arc<AtomicU64>,
    /// Bytes of all requests of sockets.
    pub(crate) socket_bytes: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl UnreliableServer {
    pub(crate) async fn start(authority: &Authority, fault: Fault) -> Self {
        let sockets = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (gateway, api_address) = (sockets.local_addr().unwrap(), api.local_addr().unwrap());
        let (events, _) = broadcast::channel(1_024);
        let mut tasks = JoinSet::new();
        let answers = Answers {
            fault,
            bytes: Arc::default(),
        };
        let socket_bytes = Arc::clone(&answers.bytes);
        tasks.spawn(serve_sockets(sockets, acceptor(authority), events.clone(), answers));
        let requests = Arc::default();
        tasks.spawn(serve_api(api, events, fault, Arc::clone(&requests)));
        Self {
            gateway,
            api: api_address,
            requests,
            socket_bytes,
            _tasks: tasks,
        }
    }
}

/// Event for the sockets of a user; `None` closes those of all users.
type Event = Option<Published>;

/// Published event.
#[derive(Clone)]
struct Published {
    user: String,
    /// Socket.IO packet.
    packet: String,
}

/// Request with one event, or with a batch.
struct Request {
    events: Vec<Published>,
    is_batch: bool,
}

/// Claims of a token.
#[derive(Deserialize)]
struct Claims {
    sub: String,
}

fn acceptor(authority: &Authority) -> TlsAcceptor {
    let (certificate, key) = authority.issue_files("server");
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate).unwrap().collect();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.unwrap(), PrivateKeyDer::from_pem_file(key).unwrap())
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Answers to requests of sockets.
#[derive(Clone)]
struct Answers {
    fault: Fault,
    /// Bytes of the requests so far.
    bytes: Arc<AtomicU64>,
}

impl Answers {
    /// Packet that answers a message, if it is a request and there is no fault.
    fn answer(&self, message: &Message) -> Option<Message> {
        let packet = message.to_text().ok()?.strip_prefix("42")?;
        self.bytes.fetch_add(message.len() as u64, Ordering::Relaxed);
        let id = packet.split('[').next()?;
        (self.fault != Fault::Unanswered).then(|| Message::text(format!("43{id}[{{}}]")))
    }
}

async fn serve_sockets(listener: TcpListener, acceptor: TlsAcceptor, events: Sender<Event>, answers: Answers) {
    let mut connections = JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        connections.spawn(serve_socket(tcp, acceptor.clone(), events.subscribe(), answers.clone()));
    }
}

async fn serve_socket(tcp: TcpStream, acceptor: TlsAcceptor, mut events: Receiver<Event>, answers: Answers) {
    let tls = acceptor.accept(tcp).await.unwrap();
    let mut socket = Box::pin(accept_async_with_config(tls, None)).await.unwrap();
    socket.send(Message::text(r#"0{"sid":"e"}"#)).await.unwrap();
    let connect = socket.next().await.unwrap().unwrap();
    let auth = connect.to_text().unwrap().strip_prefix("40").unwrap();
    let auth: Value = serde_json::from_str(auth).unwrap();
    let claims: Claims = insecure_decode_claims(auth["token"].as_str().unwrap()).unwrap();
    socket.send(Message::text(r#"40{"sid":"s"}"#)).await.unwrap();
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(Some(event)) if event.user == claims.sub => socket.send(Message::text(event.packet)).await.unwrap(),
                Ok(Some(_)) => {}
                _ => return,
            },
            message = socket.next() => {
                let Some(Ok(message)) = message else { return };
                if let Some(answer) = answers.answer(&message) {
                    socket.send(answer).await.unwrap();
                }
            }
        }
    }
}

async fn serve_api(listener: TcpListener, events: Sender<Event>, fault: Fault, requests: Arc<AtomicU64>) {
    // All events come on one connection.
    while let Ok((tcp, _)) = listener.accept().await {
        let mut stream = BufReader::new(tcp);
        let mut late = None;
        let mut number = 0;
        while let Some(request) = read_request(&mut stream).await {
            requests.fetch_add(1, Ordering::Relaxed);
            let mut accepted = Vec::new();
            for event in request.events {
                let is_faulty = number % 10 == 5;
                accepted.push(!is_faulty || fault != Fault::Refused);
                let deliveries: Vec<Event> = match fault {
                    Fault::Lost | Fault::Refused if is_faulty => vec![],
                    Fault::Twice if is_faulty => vec![Some(event.clone()), Some(event)],
                    Fault::Reordered if is_faulty => {
                        late = Some(event);
                        vec![]
                    }
                    Fault::Closed if number == 5 => vec![None],
                    _ => [Some(event)].into_iter().chain(late.take().map(Some)).collect(),
                };
                for delivery in deliveries {
                    // While all sockets are away nobody receives it.
                    drop(events.send(delivery));
                }
                number += 1;
            }
            let answer = answer(&accepted, request.is_batch);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }
}

/// Response to a request.
fn answer(accepted: &[bool], is_batch: bool) -> String {
    let result = |accepted: &bool| match accepted {
        true => json!({ "eventId": "e" }),
        false => json!({ "error": "unavailable", "message": "Try again." }),
    };
    let results: Vec<Value> = accepted.iter().map(result).collect();
    let (status, body) = match (is_batch, accepted) {
        (true, _) => (200, json!({ "results": results })),
        (false, [true]) => (202, results[0].clone()),
        (false, _) => (503, results[0].clone()),
    };
    let body = body.to_string();
    format!(
        "HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Next request; `None` at the end of the connection.
async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let (mut length, mut path) = (0, String::new());
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if let Some(rest) = line.strip_prefix("POST ") {
            path = rest.split(' ').next()?.to_owned();
        } else if let Some(value) = line.strip_prefix("Content-Length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let body: Value = serde_json::from_slice(&body).unwrap();
    let published = |user: &str, event: &Value| Published {
        user: user.to_owned(),
        packet: format!("42[{},{}]", event["event"], event["data"]),
    };
    let of_path = path
        .strip_prefix("/v1/users/")
        .and_then(|rest| rest.strip_suffix("/events"));
    let events = match of_path {
        Some(user) => vec![published(user, &body)],
        None => {
            let events = body["events"].as_array().unwrap().iter();
            events
                .map(|event| published(event["userId"].as_str().unwrap(), event))
                .collect()
        }
    };
    Some(Request {
        events,
        is_batch: of_path.is_none(),
    })
}
