//! List of a user's connections, and the end of all its sessions.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{ConnectInfo, Path, State};
use axum::response::Response;
use bus::OpenSocket;
use http::{HeaderMap, StatusCode};
use protocol::cluster::job::Work;
use protocol::cluster::origin::Origin;
use protocol::code::ErrorCode;
use protocol::command::EndSessionsAnswer;
use protocol::fault::Fault;
use protocol::id::{ConnectionId, NodeId, SessionId};
use protocol::time::Timestamp;
use serde::Serialize;

use super::{ApiError, Internal, json_response, origin, parse_user};
use crate::workers::Requester;

/// `GET /v1/users/{id}/connections`: returns the user's sockets on all gateways, oldest first.
pub(super) async fn connections(
    State(internal): State<Arc<Internal>>,
    Path(user): Path<String>,
    headers: HeaderMap,
) -> Response {
    #[derive(Serialize)]
    struct ConnectionList {
        connections: Vec<ConnectionEntry>,
    }
    match internal.connections(&user, &headers).await {
        Ok(present) => {
            let connections = present.into_iter().map(ConnectionEntry::from).collect();
            json_response(StatusCode::OK, &ConnectionList { connections })
        }
        Err(error) => error.response(),
    }
}

/// `DELETE /v1/users/{id}/sessions`: ends all sessions; returns their number once the end is committed.
pub(super) async fn end(
    State(internal): State<Arc<Internal>>,
    Path(user): Path<String>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
) -> Response {
    let peer = peer.map(|Extension(ConnectInfo(peer))| peer);
    match internal.end_sessions(&user, peer, &headers).await {
        Ok(ended) => json_response(StatusCode::OK, &ended),
        Err(error) => error.response(),
    }
}

/// Socket of a user, in the encoding of the internal API.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectionEntry {
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

impl From<OpenSocket> for ConnectionEntry {
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
    async fn connections(&self, user: &str, headers: &HeaderMap) -> Result<Vec<OpenSocket>, ApiError> {
        self.authorize(headers)?;
        let user = parse_user(user)?;
        let sockets = self.presence.open_sockets(&user).await;
        let sockets = self.outage.record("connection list", sockets);
        sockets.map_err(|error| ApiError::Failed(error.code()))
    }

    async fn end_sessions(
        &self,
        user: &str,
        peer: Option<SocketAddr>,
        headers: &HeaderMap,
    ) -> Result<EndSessionsAnswer, ApiError> {
        self.authorize(headers)?;
        let requester = Requester::internal_api(parse_user(user)?, origin(peer, headers), self.trace(headers));
        let ended = self
            .workers
            .request(requester, Work::EndAllSessions, self.job_timeout)
            .await;
        let ended = ended.map_err(|error| ApiError::Failed(error.code()))?;
        match ended {
            Some(outcome) if outcome.error.is_none() => {
                let ended = outcome.data.read();
                ended.map_err(|_unreadable| ApiError::Failed(ErrorCode::Internal))
            }
            // The outcome is unknown: the sessions may have ended.
            _ => Err(ApiError::Failed(ErrorCode::Unavailable)),
        }
    }
}
