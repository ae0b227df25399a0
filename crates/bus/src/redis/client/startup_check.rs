//! Startup check: reports commands that the server refuses before the node serves.

use fred::interfaces::ClientLike;
use fred::types::CustomCommand;
use protocol::fault::chain;

use super::Script;
use super::connector::ConnectError;
use super::node::NodeClient;
use crate::BusError;
use crate::operation::Operation;

/// Access that a connection needs, with unused names to test it on.
pub(in crate::redis) struct AccessCheck {
    /// Keys, each in a hash slot of its own: all are tested on a cluster node.
    pub(in crate::redis) keys: Vec<String>,
    /// Channel, where the connection will publish.
    pub(in crate::redis) channel: Option<String>,
}

impl NodeClient {
    /// Checks that scripts may call INFO, and warns if the server may evict keys.
    pub(super) async fn check_info(&self) -> Result<(), ConnectError> {
        let address = self.connector().address();
        self.info("replication").await.map_err(|error| {
            if chain(&error).contains("NOPERM") {
                let (address, source) = (address.clone(), Box::new(error));
                return ConnectError::NoInfo { address, source };
            }
            self.connector().unreachable(error)
        })?;
        // Managed servers often forbid CONFIG, but not INFO.
        let memory = self.info("memory").await.unwrap_or_default();
        let policy = memory.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"));
        match policy {
            Some("noeviction") => {}
            Some(policy) => tracing::warn!(
                redis = address,
                policy,
                "redis maxmemory-policy may evict keys, set noeviction"
            ),
            None => tracing::warn!(redis = address, "redis maxmemory-policy unknown, set noeviction"),
        }
        Ok(())
    }

    /// Checks that this Redis user may run the commands that a node needs.
    pub(super) async fn check_access(&self, access: AccessCheck) -> Result<(), ConnectError> {
        self.run_check(access).await.map_err(|error| ConnectError::Unusable {
            address: self.connector().address(),
            source: Box::new(error),
        })
    }

    /// Runs one command of each kind; on a cluster node for all keys, as a single key may be in one of its own slots.
    async fn run_check(&self, access: AccessCheck) -> Result<(), BusError> {
        let script = Script::new(Operation::StartupCheck, include_str!("../script/startup_check.lua"));
        let cluster = self.info("cluster").await.unwrap_or_default();
        let tried = if cluster.contains("cluster_enabled:1") {
            usize::MAX
        } else {
            1
        };
        for key in access.keys.into_iter().take(tried) {
            self.run("run a script that writes", &script, [key], []).await?;
        }
        match access.channel {
            Some(channel) => self.publish_probe(channel, String::new()).await,
            None => Ok(()),
        }
    }

    async fn info(&self, section: &'static str) -> Result<String, BusError> {
        let info = CustomCommand::new_static("INFO", None::<u16>, false);
        let step = "read INFO";
        self.ask(step, Operation::Info, async |fred| {
            fred.custom(info, vec![section]).await
        })
        .await
    }
}
