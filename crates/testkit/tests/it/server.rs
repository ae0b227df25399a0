//! Server for the clients: a few lines of Socket.IO and of the plain dialect, behind TLS.

use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use rmp_serde::{from_slice, to_vec_named};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use testkit::Endpoint;
use testkit::tls::Authority;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

/// Server that runs until it is dropped.
pub(crate) struct Server {
    pub(crate) authority: Authority,
    pub(crate) endpoint: Endpoint,
    _task: JoinSet<()>,
}

type Socket = WebSocketStream<TlsStream<TcpStream>>;

impl Server {
    pub(crate) async fn start() -> Self {
        let authority = Authority::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::new(listener.local_addr().unwrap(), authority.client());
        let acceptor = acceptor(&authority);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(acceptor.clone(), stream));
            }
        });
        Self {
            authority,
            endpoint,
            _task: task,
        }
    }
}

fn acceptor(authority: &Authority) -> TlsAcceptor {
    let identity = authority.issue();
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream) {
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let mut path = String::new();
    let mut msgpack = false;
    #[expect(clippy::result_large_err, reason = "the library's signature")]
    let admit = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        path = request.uri().path().to_owned();
        if request.headers().contains_key("origin") {
            let mut refusal = ErrorResponse::new(Some("foreign origin".to_owned()));
            *refusal.status_mut() = StatusCode::FORBIDDEN;
            refusal.headers_mut().insert("content-length", "14".parse().unwrap());
            return Err(refusal);
        }
        if let Some(subprotocol) = request.headers().get("sec-websocket-protocol") {
            msgpack = subprotocol == "postern.v1.msgpack";
            response
                .headers_mut()
                .insert("sec-websocket-protocol", subprotocol.clone());
        }
        Ok(response)
    };
    let Ok(mut socket) = Box::pin(accept_hdr_async(stream, admit)).await else {
        return;
    };
    match path.as_str() {
        "/ws" => native(&mut socket, msgpack).await,
        _ => socketio(&mut socket).await,
    };
}

/// Server for `/ws`: reads `{"event":"auth"}` first, then answers each message.
async fn native(socket: &mut Socket, msgpack: bool) -> Option<()> {
    let pack = |frame: Value| match msgpack {
        true => Message::binary(to_vec_named(&frame).unwrap()),
        false => Message::text(frame.to_string()),
    };
    while let Some(Ok(message)) = socket.next().await {
        let frame: Value = match &message {
            Message::Text(text) => serde_json::from_str(text).unwrap(),
            Message::Binary(bytes) => from_slice(bytes).unwrap(),
            _ => continue,
        };
        let data = frame["data"].clone();
        let answer = match frame["event"].as_str()? {
            "auth" if data["token"] == "good" => json!({ "event": "ready", "data": { "resumeToken": "s" } }),
            "auth" => {
                let error = json!({ "event": "error", "data": { "error": "unauthenticated" } });
                socket.send(pack(error)).await.ok()?;
                return close(socket, 4401, "token refused").await;
            }
            "batch" => json!([
                { "event": "first", "data": 1, "offset": "e-1" },
                { "event": "second", "data": 2, "offset": null },
            ]),
            name => json!({ "event": format!("{name}_response"), "data": data, "id": frame["id"] }),
        };
        socket.send(pack(answer)).await.ok()?;
    }
    None
}

/// Socket.IO server that detects the parser by the first message, as a gateway does.
async fn socketio(socket: &mut Socket) -> Option<()> {
    let open = json!({
        "sid": "e", "upgrades": [], "pingInterval": 25000, "pingTimeout": 20000, "maxPayload": 65536
    });
    socket.send(Message::text(format!("0{open}"))).await.ok()?;
    while let Some(Ok(message)) = socket.next().await {
        let msgpack = message.is_binary();
        let packet: Value = match &message {
            Message::Text(text) => match text.strip_prefix('4') {
                Some(packet) => read_text(packet),
                None => {
                    event(socket, false, json!(["pong"]), None).await?;
                    continue;
                }
            },
            Message::Binary(bytes) => from_slice(bytes).unwrap(),
            _ => continue,
        };
        match packet["type"].as_u64()? {
            0 if packet["data"]["token"] == "good" => {
                send(
                    socket,
                    msgpack,
                    json!({ "type": 0, "data": { "sid": "s", "pid": "p" } }),
                )
                .await?;
            }
            0 => {
                let data = json!({ "message": "no", "data": { "code": "unauthenticated" } });
                send(socket, msgpack, json!({ "type": 4, "data": data })).await?;
            }
            2 => on_event(socket, msgpack, &packet).await?,
            _ => {}
        }
    }
    None
}

async fn on_event(socket: &mut Socket, msgpack: bool, packet: &Value) -> Option<()> {
    let data = &packet["data"][1];
    match packet["data"][0].as_str()? {
        "dismiss" => {
            send(socket, msgpack, json!({ "type": 1 })).await?;
            close(socket, 4403, "ended").await
        }
        // The drop of the stream ends TCP without a Close frame.
        "vanish" => None,
        "heartbeat" => socket.send(Message::text("2")).await.ok(),
        name => {
            event(socket, msgpack, json!([format!("{name}_other"), null, null]), None).await?;
            event(socket, msgpack, json!([format!("{name}_response"), data, "e-1"]), None).await?;
            match packet["id"].as_u64() {
                Some(id) => send(socket, msgpack, json!({ "type": 3, "id": id, "data": [data] })).await,
                None => Some(()),
            }
        }
    }
}

async fn event(socket: &mut Socket, msgpack: bool, arguments: Value, id: Option<u64>) -> Option<()> {
    send(socket, msgpack, json!({ "type": 2, "data": arguments, "id": id })).await
}

async fn send(socket: &mut Socket, msgpack: bool, mut packet: Value) -> Option<()> {
    packet["nsp"] = "/".into();
    let packet = match msgpack {
        true => {
            packet.as_object_mut()?.retain(|_, value| !value.is_null());
            Message::binary(to_vec_named(&packet).unwrap())
        }
        false => Message::text(write_text(&packet)),
    };
    socket.send(packet).await.ok()
}

async fn close(socket: &mut Socket, code: u16, reason: &'static str) -> Option<()> {
    let frame = CloseFrame {
        code: code.into(),
        reason: reason.into(),
    };
    socket.send(Message::Close(Some(frame))).await.ok()?;
    while let Some(Ok(_)) = socket.next().await {}
    None
}

fn write_text(packet: &Value) -> String {
    let id = packet["id"].as_u64().map(|id| id.to_string()).unwrap_or_default();
    let data = packet.get("data").map(Value::to_string).unwrap_or_default();
    format!("4{}{id}{data}", packet["type"])
}

fn read_text(text: &str) -> Value {
    let (kind, rest) = text.split_at(1);
    let data_at = rest.find(['{', '[']).unwrap_or(rest.len());
    let (id, data) = rest.split_at(data_at);
    let data: Value = serde_json::from_str(data).unwrap_or_default();
    json!({ "type": kind.parse::<u64>().unwrap(), "id": id.parse::<u64>().ok(), "data": data })
}
