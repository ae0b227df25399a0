//! Socket.IO server with a publish endpoint that breaks a promise for one event in ten.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
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
    /// Does not accept the event, but delivers it.
    Refused,
    /// Closes all connections instead, once.
    Closed,
}

/// Running server.
pub(crate) struct UnreliableServer {
    pub(crate) gateway: SocketAddr,
    pub(crate) api: SocketAddr,
    _tasks: JoinSet<()>,
}

impl UnreliableServer {
    pub(crate) async fn start(authority: &Authority, fault: Fault) -> Self {
        let sockets = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (gateway, api_address) = (sockets.local_addr().unwrap(), api.local_addr().unwrap());
        let (events, _) = broadcast::channel(1_024);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_sockets(sockets, acceptor(authority), events.clone()));
        tasks.spawn(serve_api(api, events, fault));
        Self {
            gateway,
            api: api_address,
            _tasks: tasks,
        }
    }
}

/// Message to all sockets; `None` closes them.
type Event = Option<String>;

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

async fn serve_sockets(listener: TcpListener, acceptor: TlsAcceptor, events: Sender<Event>) {
    let mut connections = JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        connections.spawn(serve_socket(tcp, acceptor.clone(), events.subscribe()));
    }
}

async fn serve_socket(tcp: TcpStream, acceptor: TlsAcceptor, mut events: Receiver<Event>) {
    let tls = acceptor.accept(tcp).await.unwrap();
    let mut socket = Box::pin(accept_async_with_config(tls, None)).await.unwrap();
    socket.send(Message::text(r#"0{"sid":"e"}"#)).await.unwrap();
    let connect = socket.next().await.unwrap().unwrap();
    assert!(connect.to_text().unwrap().starts_with(r#"40{"token":"#), "{connect}");
    socket.send(Message::text(r#"40{"sid":"s"}"#)).await.unwrap();
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(Some(event)) => socket.send(Message::text(event)).await.unwrap(),
                _ => return,
            },
            message = socket.next() => if message.is_none_or(|message| message.is_err()) {
                return;
            },
        }
    }
}

async fn serve_api(listener: TcpListener, events: Sender<Event>, fault: Fault) {
    // The user's events come on one connection.
    while let Ok((tcp, _)) = listener.accept().await {
        let mut requests = BufReader::new(tcp);
        let mut late = None;
        let mut number = 0;
        while let Some(event) = read_event(&mut requests).await {
            let is_faulty = number % 10 == 5;
            let answer = match is_faulty && fault == Fault::Refused {
                true => "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}",
                false => "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}",
            };
            let deliveries: Vec<Event> = match fault {
                Fault::Lost if is_faulty => vec![],
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
            requests.write_all(answer.as_bytes()).await.unwrap();
            number += 1;
        }
    }
}

/// Socket.IO packet of the event in the next request; `None` at the end of the connection.
async fn read_event(requests: &mut BufReader<TcpStream>) -> Option<String> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if requests.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if let Some(value) = line.strip_prefix("Content-Length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    requests.read_exact(&mut body).await.ok()?;
    let body: Value = serde_json::from_slice(&body).unwrap();
    Some(format!("42[{},{}]", body["event"], body["data"]))
}
