//! HTTP server: binds a loopback port and serves every connection inside one future.

use std::{io, net::SocketAddr, time::Duration};

use axum::{Router, middleware::from_fn};
use futures_util::{StreamExt, stream::FuturesUnordered};
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::{
    control, discord, github, handle::Handle, index, loopback, middleware::Unanswered, telegram, world::World,
    x_twitter,
};

/// Simulator that is bound and does not serve yet.
#[derive(Debug)]
pub struct Simulator {
    listener: TcpListener,
    address: SocketAddr,
    world: World,
}

/// Cause of a simulator that could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Address that is not a loopback one: every caller controls the simulator, so only this machine may reach it.
    #[error("the simulator listens on loopback only, not on {0}")]
    NotLoopback(SocketAddr),
    /// The system refused the address.
    #[error("bind the simulator to {0}")]
    Refused(SocketAddr, #[source] io::Error),
}

impl Simulator {
    /// Binds `address` (port 0: a free one). Codes and tokens follow from `seed`: the same seed generates the same ones in the
    /// same order, so a long-lived simulator needs a random one.
    ///
    /// # Errors
    /// [`BindError`].
    pub async fn bind(address: SocketAddr, seed: u64) -> Result<Self, BindError> {
        if !address.ip().is_loopback() {
            return Err(BindError::NotLoopback(address));
        }
        let refused = |error| BindError::Refused(address, error);
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self {
            listener,
            address,
            world: World::new(format!("http://{address}"), seed),
        })
    }

    /// Address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Base URL, without a slash at the end; the platforms' URLs start with it (`<url>/github/api`).
    pub fn url(&self) -> &str {
        self.world.base()
    }

    /// Controls that stay valid while it serves.
    pub fn handle(&self) -> Handle {
        Handle::new(self.world.clone())
    }

    /// Serves until `shutdown` resolves, then drops every connection at once, blocked ones included.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let routes = platforms(&self.world)
            .nest("/_control", control::routes())
            .merge(index::routes())
            .layer(from_fn(loopback::guard))
            .with_state(self.world.clone());
        let mut connections = FuturesUnordered::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                // Above the bound, callers wait in the system's listen queue.
                socket = accept(&self.listener), if connections.len() < MAX_CONNECTIONS => {
                    connections.push(serve_connection(socket, routes.clone()));
                }
                Some(()) = connections.next() => {}
            }
        }
    }
}

/// Enough for every test, and below the usual limit of 1,024 open files.
const MAX_CONNECTIONS: usize = 512;

/// Next connection. An error here (no file descriptor left, caller already gone) is temporary and not one of the listener.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => return socket,
            Err(error) => {
                tracing::warn!(%error, "the simulator could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Serves one connection to its end.
async fn serve_connection(socket: TcpStream, routes: Router) {
    let service = service_fn(|request: Request<Incoming>| {
        let routes = routes.clone();
        async move {
            let answer: Response<_> = match routes.oneshot(request).await {
                Ok(answer) => answer,
                Err(never) => match never {},
            };
            // hyper closes the connection when a service fails, the only way to send nothing at all.
            match answer.extensions().get::<Unanswered>() {
                Some(_) => Err(io::Error::other("a fault asked for no answer")),
                None => Ok(answer),
            }
        }
    });
    if let Err(error) = http1::Builder::new()
        .serve_connection(TokioIo::new(socket), service)
        .await
    {
        tracing::debug!(%error, "a connection to the simulator broke off");
    }
}

/// Routes of all platforms.
fn platforms(world: &World) -> Router<World> {
    Router::new()
        .nest("/github", github::routes(world))
        .nest("/discord", discord::routes(world))
        .nest("/x_twitter", x_twitter::routes(world))
        .nest("/telegram", telegram::routes(world))
}
