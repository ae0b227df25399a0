//! List of a user's connections, and the end of all its sessions.

use axum::response::Response;
use bus::OpenSocket;
use http::StatusCode;
use protocol::api::{Connection, ConnectionList, EndSessionsAnswer};
use protocol::cluster::job::Work;
use protocol::cluster::origin::Origin;
use protocol::fault::Fault;
use protocol::id::UserId;

use super::call::Call;
use super::error::ApiError;
use super::{Internal, json_response};

/// `GET /v1/users/{id}/connections`: the user's sockets on all gateways, oldest first.
pub(super) async fn connections(internal: &Internal, call: &Call<'_>) -> Result<Response, ApiError> {
    let user = call.user()?;
    Ok(call.run(Some(&user), internal.connections(&user)).await)
}

/// `DELETE /v1/users/{id}/sessions`: ends all sessions; returns their number once the end is committed.
pub(super) async fn end(internal: &Internal, call: &Call<'_>) -> Result<Response, ApiError> {
    let user = call.user()?;
    Ok(call.run(Some(&user), internal.end_sessions(call, &user)).await)
}

fn connection(socket: OpenSocket) -> Connection {
    let Origin {
        address,
        device_id,
        device_name,
        user_agent,
    } = socket.origin;
    Connection {
        connection_id: socket.connection,
        node: socket.node,
        session_id: socket.session,
        connected_at: socket.connected_at,
        address,
        device_id,
        device_name,
        user_agent,
    }
}

impl Internal {
    async fn connections(&self, user: &UserId) -> Result<Response, ApiError> {
        let sockets = self.presence.open_sockets(user).await;
        let sockets = self.outage.record("connection list", sockets);
        let sockets = sockets.map_err(|error| ApiError::Failed(error.code()))?;
        let connections = sockets.into_iter().map(connection).collect();
        Ok(json_response(StatusCode::OK, &ConnectionList { connections }))
    }

    async fn end_sessions(&self, call: &Call<'_>, user: &UserId) -> Result<Response, ApiError> {
        let ended: EndSessionsAnswer = self.work(call, user, Work::EndAllSessions).await?;
        Ok(json_response(StatusCode::OK, &ended))
    }
}
