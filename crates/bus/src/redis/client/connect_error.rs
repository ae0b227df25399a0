//! Errors of the start.

/// Failure to connect at startup.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The connection failed, timed out, or was refused.
    #[error("connect to {address}")]
    Unreachable {
        /// URL without its password.
        address: String,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server is older than Redis 7, which introduced sharded channels.
    #[error("{address} runs Redis {version}, 7.0 or later is required")]
    TooOld {
        /// URL without its password.
        address: String,
        /// Version of the server.
        version: String,
    },
    /// The user may not run commands that nodes need, or the server does not know them.
    #[error(
        "{address} refuses what nodes need, `postern redis acl` prints the permissions: {}",
        list(refusals)
    )]
    Missing {
        /// URL without its password.
        address: String,
        /// Refused commands and scripts.
        refusals: Vec<CommandRefusal>,
    },
    /// `INFO` has no replication id, by which scripts notice that a failover or a restart has lost writes.
    #[error("{address} has no master_replid in INFO replication: a failover that loses events would go unnoticed")]
    NoReplicationId {
        /// URL without its password.
        address: String,
    },
    /// The server refuses the commands of the startup check for now, or other nodes of a cluster own the slots: it is a replica or still
    /// loading, for example.
    #[error("startup check failed at {address}")]
    Unusable {
        /// URL without its password.
        address: String,
        /// Failed command, with the server's error reply.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The sentinels name no primary, or no node of a cluster names the owners of slots.
    #[error("find the primary of {address}")]
    NoPrimary {
        /// URL without its passwords.
        address: String,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The certificate authorities for TLS cannot be loaded.
    #[error("load the certificate authorities for rediss://")]
    Certificates {
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Command or script that the server refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRefusal {
    /// Name of the command, as `XGROUP|CREATE`, or of the script.
    pub command: String,
    /// Error reply.
    pub reply: String,
}

fn list(refusals: &[CommandRefusal]) -> String {
    let refusals = refusals
        .iter()
        .map(|CommandRefusal { command, reply }| format!("{command} ({reply})"));
    refusals.collect::<Vec<_>>().join(", ")
}
