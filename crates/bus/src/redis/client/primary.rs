//! Address of the primary, which a failover changes.

use std::future;
use std::sync::Arc;

use tokio::sync::watch;

use crate::redis::settings::Endpoint;

/// Address of the primary; none until sentinels have named it. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Primary {
    address: Arc<watch::Sender<Option<Endpoint>>>,
}

impl Primary {
    /// Primary at an address that does not change.
    pub(super) fn at(server: Endpoint) -> Self {
        let primary = Self::default();
        primary.moved_to(server);
        primary
    }

    /// Current address.
    pub(super) fn current(&self) -> Option<Endpoint> {
        self.address.borrow().clone()
    }

    /// Records that another server is the primary.
    pub(super) fn moved_to(&self, server: Endpoint) {
        self.address.send_replace(Some(server));
    }

    /// Reports whether the primary is another server than this one.
    pub(super) fn has_left(&self, server: &Endpoint) -> bool {
        self.address.borrow().as_ref() != Some(server)
    }

    /// Resolves when the primary is another server than this one.
    pub(super) async fn leaves(&self, server: &Endpoint) {
        let mut address = self.address.subscribe();
        if address
            .wait_for(|current| current.as_ref() != Some(server))
            .await
            .is_err()
        {
            // The channel is closed, which `self.address` prevents.
            future::pending::<()>().await;
        }
    }
}
