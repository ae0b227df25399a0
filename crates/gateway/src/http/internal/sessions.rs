//! A user's connections, and the end of all its sessions.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{ConnectInfo, Path, State};
use axum::response::Response;
use bus::OpenSocket;
use http::{HeaderMap, StatusCode};
use protocol::answer::SessionsEnded;
use protocol::cluster::job::{Job, Work};
use protocol::cluster::origin::Origin;
use protocol::code::ErrorCode;
use protocol::fault::{Fault, chain};
use protocol::id::{ConnectionId, NodeId, SessionId};
use protocol::time::Timestamp;
use serde::Serialize;

use super::{Internal, Refusal, answer, named, origin};
use crate::name;

/// `GET /v1/users/{id}/connections`: 200 with the user's sockets on all gateways, oldest first.
pub(super) async fn connections(
    State(internal): State<Arc<Internal>>,
    Path(user): Path<String>,
    headers: HeaderMap,
) -> Response {
    #[derive(Serialize)]
    struct Connections {
        connections: Vec<Connection>,
    }
    match internal.connections(&user, &headers).await {
        Ok(present) => {
            let connections = present.into_iter().map(Connection::from).collect();
            answer(StatusCode::OK, &Connections { connections })
        }
        Err(refusal) => refusal.response(),
    }
}

/// `DELETE /v1/users/{id}/sessions`: 200 with how many there were, once their end is committed.
pub(super) async fn end(
    State(internal): State<Arc<Internal>>,
    Path(user): Path<String>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
) -> Response {
    let peer = peer.map(|Extension(ConnectInfo(peer))| peer);
    match internal.end_sessions(&user, peer, &headers).await {
        Ok(ended) => answer(StatusCode::OK, &ended),
        Err(refusal) => refusal.response(),
    }
}

/// A socket, as the application's own server reads it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Connection {
    connection_id: ConnectionId,
    node: NodeId,
    session_id: SessionId,
    connected_at: Timestamp,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
}

impl From<OpenSocket> for Connection {
    fn from(present: OpenSocket) -> Self {
        let Origin {
            address,
            device_id,
            device_name,
            user_agent,
        } = present.origin;
        Self {
            connection_id: present.connection,
            node: present.node,
            session_id: present.session,
            connected_at: present.connected_at,
            address,
            device_id,
            device_name,
            user_agent,
        }
    }
}

impl Internal {
    async fn connections(&self, user: &str, headers: &HeaderMap) -> Result<Vec<OpenSocket>, Refusal> {
        self.authorize(headers)?;
        let user = named(user)?;
        self.bus.open_sockets(&user).await.map_err(|error| {
            tracing::warn!(error = chain(&error), "connections could not be listed");
            Refusal::Failed(error.code())
        })
    }

    async fn end_sessions(
        &self,
        user: &str,
        peer: Option<SocketAddr>,
        headers: &HeaderMap,
    ) -> Result<SessionsEnded, Refusal> {
        self.authorize(headers)?;
        let job = Job {
            v: Job::VERSION,
            id: name::job(&*self.entropy),
            user: named(user)?,
            session: name::internal_api(),
            connection: name::connection(&*self.entropy),
            node: self.workers.node().clone(),
            origin: origin(peer, headers),
            traceparent: self.trace(headers),
            idempotency_key: None,
            authenticated_at: None,
            work: Work::EndAllSessions,
        };
        let ended = self.workers.ask(&job, self.job_timeout).await.map_err(|error| {
            tracing::warn!(error = chain(&error), "sessions could not be ended");
            Refusal::Failed(error.code())
        })?;
        match ended {
            Some(outcome) if outcome.error.is_none() => {
                let ended = outcome.data.read();
                ended.map_err(|_unreadable| Refusal::Failed(ErrorCode::Internal))
            }
            // They may have been ended.
            _ => Err(Refusal::Failed(ErrorCode::Unavailable)),
        }
    }
}
