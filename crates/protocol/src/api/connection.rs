//! Connections of a user.

use serde::Serialize;

use crate::id::{ConnectionId, NodeId, SessionId};
use crate::time::Timestamp;

/// Response of `GET /v1/users/{id}/connections`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConnectionList {
    /// Sockets of the user on all gateways, oldest first.
    pub connections: Vec<Connection>,
}

/// Socket of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// Id of the socket.
    pub connection_id: ConnectionId,
    /// Gateway of the socket.
    pub node: NodeId,
    /// Session of the socket.
    pub session_id: SessionId,
    /// Time at which the socket was authenticated.
    pub connected_at: Timestamp,
    /// IP address of the client.
    pub address: String,
    /// Device as the client names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// Name of the device as the client states it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
    /// User agent of the upgrade request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}
