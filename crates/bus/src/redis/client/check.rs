//! The start check: what a server will refuse later is named before anything waits for it.

use fred::interfaces::ClientLike;
use fred::types::CustomCommand;
use protocol::fault::chain;

use super::connector::ConnectError;
use super::{Client, Script};
use crate::BusError;

/// What a connection will be used for, and names to try it with that are nobody's.
pub(in crate::redis) struct Needs {
    /// Keys; on a node of a cluster in as many slots.
    pub(in crate::redis) keys: Vec<String>,
    /// A channel, where anything will be announced.
    pub(in crate::redis) channel: Option<String>,
}

impl Client {
    /// Makes sure that the server tells our scripts what they ask it, and warns when it may throw keys away.
    pub(in crate::redis) async fn check_info(&self) -> Result<(), ConnectError> {
        let at = self.shared.connector.at();
        self.info("replication").await.map_err(|error| {
            if chain(&error).contains("NOPERM") {
                let (at, source) = (at.clone(), Box::new(error));
                return ConnectError::NoInfo { at, source };
            }
            self.shared.connector.unreachable(error)
        })?;
        // CONFIG is forbidden in many places, INFO is not.
        let memory = self.info("memory").await.unwrap_or_default();
        let policy = memory.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"));
        match policy {
            Some("noeviction") => {}
            Some(policy) => tracing::warn!(
                redis = at,
                policy,
                "Redis may throw keys away: maxmemory-policy should be noeviction"
            ),
            None => tracing::warn!(
                redis = at,
                "Redis does not say its maxmemory-policy, which should be noeviction"
            ),
        }
        Ok(())
    }

    /// Makes sure that the server does what is needed for this user.
    pub(in crate::redis) async fn check_needs(&self, needs: Needs) -> Result<(), ConnectError> {
        self.try_out(needs).await.map_err(|error| ConnectError::Unusable {
            at: self.shared.connector.at(),
            source: Box::new(error),
        })
    }

    /// One command of each kind. A node of a cluster is asked about many keys: one alone may be in a slot of its own.
    async fn try_out(&self, needs: Needs) -> Result<(), BusError> {
        let script = Script::new(include_str!("../script/check.lua"));
        let cluster = self.info("cluster").await.unwrap_or_default();
        let tried = if cluster.contains("cluster_enabled:1") {
            usize::MAX
        } else {
            1
        };
        for key in needs.keys.into_iter().take(tried) {
            self.run("write to Redis by a script", &script, [key], []).await?;
        }
        match needs.channel {
            Some(channel) => self.announce(channel, String::new()).await,
            None => Ok(()),
        }
    }

    async fn info(&self, section: &'static str) -> Result<String, BusError> {
        let info = CustomCommand::new_static("INFO", None::<u16>, false);
        let step = "ask Redis about itself";
        self.ask(step, async |fred| fred.custom(info, vec![section]).await)
            .await
    }
}
