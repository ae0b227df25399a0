//! Servers of a bus: one server, or the primary that sentinels name.

mod sentinel;

use lifecycle::{Dependencies, Tasks};

pub(super) use self::sentinel::SentinelError;

use self::sentinel::SentinelWatch;
use super::connect_error::ConnectError;
use super::connector::Connector;

/// Watch of the servers of one connector.
pub(in crate::redis) struct Topology {
    sentinels: Option<SentinelWatch>,
}

impl Topology {
    /// Finds the server of a connector. `dependency` is the name under which outages of its sentinels are reported.
    ///
    /// # Errors
    /// [`ConnectError::NoPrimary`] if no sentinel names a server that is a primary.
    pub(in crate::redis) async fn discover(
        connector: &Connector,
        dependencies: &Dependencies,
        dependency: &'static str,
    ) -> Result<Self, ConnectError> {
        let sentinels = match connector.sentinels() {
            Some(sentinels) => {
                let dependency = dependencies.named(dependency);
                Some(SentinelWatch::start(connector, sentinels, dependency).await?)
            }
            None => None,
        };
        Ok(Self { sentinels })
    }

    /// Follows changes until the tasks are drained.
    pub(in crate::redis) fn follow(self, tasks: &Tasks) {
        if let Some(sentinels) = self.sentinels {
            let soft = tasks.soft();
            tasks.essential("redis sentinel watch", async move {
                // Runs until the node drains.
                soft.run_until_cancelled(sentinels.run()).await;
            });
        }
    }
}
