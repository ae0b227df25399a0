//! List of a user's connections, and the end of all its sessions.

use axum::response::Response;
use bus::OpenSocket;
use http::StatusCode;
use protocol::cluster::job::Work;
use protocol::cluster::origin::Origin;
use protocol::code::ErrorCode;
use protocol::command::EndSessionsAnswer;
use protocol::fault::Fault;
use protocol::id::{ConnectionId, NodeId, SessionId, UserId};
use protocol::time::Timestamp;
use serde::Serialize;

use super::call::{Call, RequestHead};
use super::error::ApiError;
use super::{Internal, json_response, user_id};
use crate::settings::Scope;
use crate::trace::HttpRoute;

/// `GET /v1/users/{id}/connections`: the user's sockets on all gateways, oldest first.
pub(super) async fn connections(internal: &Internal, head: RequestHead<'_>, user: &str) -> Result<Response, ApiError> {
    let call = internal.authorize(Scope::ReadConnections, head)?;
    let user = user_id(user)?;
    Ok(call.run(LIST, Some(&user), internal.connections(&user)).await)
}

/// `DELETE /v1/users/{id}/sessions`: ends all sessions; returns their number once the end is committed.
pub(super) async fn end(internal: &Internal, head: RequestHead<'_>, user: &str) -> Result<Response, ApiError> {
    let call = internal.authorize(Scope::EndSessions, head)?;
    let user = user_id(user)?;
    Ok(call.run(END, Some(&user), internal.end_sessions(&call, &user)).await)
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
    async fn connections(&self, user: &UserId) -> Result<Response, ApiError> {
        #[derive(Serialize)]
        struct ConnectionList {
            connections: Vec<ConnectionEntry>,
        }
        let sockets = self.presence.open_sockets(user).await;
        let sockets = self.outage.record("connection list", sockets);
        let sockets = sockets.map_err(|error| ApiError::Failed(error.code()))?;
        let connections = sockets.into_iter().map(ConnectionEntry::from).collect();
        Ok(json_response(StatusCode::OK, &ConnectionList { connections }))
    }

    async fn end_sessions(&self, call: &Call<'_>, user: &UserId) -> Result<Response, ApiError> {
        let work = Work::EndAllSessions;
        let ended = self.workers.request(call.requester(user), work, self.job_timeout).await;
        let ended = ended.map_err(|error| ApiError::Failed(error.code()))?;
        match ended {
            Some(outcome) if outcome.error.is_none() => {
                let ended: EndSessionsAnswer = outcome
                    .data
                    .read()
                    .map_err(|_unreadable| ApiError::Failed(ErrorCode::Internal))?;
                Ok(json_response(StatusCode::OK, &ended))
            }
            // The outcome is unknown: the sessions may have ended.
            _ => Err(ApiError::Failed(ErrorCode::Unavailable)),
        }
    }
}

/// Route of [`connections`].
pub(super) const LIST: HttpRoute = HttpRoute {
    method: "GET",
    path: "/v1/users/{id}/connections",
};

/// Route of [`end`].
pub(super) const END: HttpRoute = HttpRoute {
    method: "DELETE",
    path: "/v1/users/{id}/sessions",
};
