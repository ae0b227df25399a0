//! Server on a free port of 127.0.0.1 that serves each connection in a task of its own.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::fail::OrFail as _;

/// Listener whose drop ends it and all its connections.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) addr: SocketAddr,
    /// Owns the accepting task, which owns the task of each connection.
    _tasks: JoinSet<()>,
}

impl Listening {
    /// Binds a free port. `step` names the failure if there is none, such as `listen for an issuer`.
    pub(crate) async fn start<F>(step: &str, serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.or_fail(step);
        let addr = listener.local_addr().or_fail(step);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, serve));
        Self { addr, _tasks: tasks }
    }
}

async fn accept<F>(listener: TcpListener, serve: impl Fn(TcpStream) -> F + Send)
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let served = serve(stream);
        connections.spawn(async move {
            // A client that disconnects early is one of the tested cases.
            drop(served.await);
        });
    }
}

/// Head of an HTTP request, with the empty line at its end.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(head)
}
