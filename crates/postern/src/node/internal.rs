//! The internal listener: health, metrics, and on a gateway the internal API. Plain HTTP, for the cluster's own network.

use std::net::SocketAddr;

use axum::Router;
use lifecycle::Tasks;
use tokio::net::TcpListener;

use super::StartError;

/// A bound internal listener.
pub(crate) struct Internal {
    listener: TcpListener,
    address: SocketAddr,
}

impl Internal {
    /// Binds it.
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, StartError> {
        let failed = |source| StartError::Internal { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves it until the tasks end.
    pub(crate) fn serve(self, router: Router, tasks: &Tasks) {
        let stop = tasks.soft();
        tasks.essential("internal listener", async move {
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            let served = axum::serve(self.listener, service)
                .with_graceful_shutdown(stop.cancelled_owned())
                .await;
            if let Err(error) = served {
                tracing::error!(%error, "the internal listener failed");
            }
        });
    }
}
