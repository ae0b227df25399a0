//! Connected fred client with the task that drives it.

use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::ClientLike;
use tokio_util::task::AbortOnDropHandle;

/// Connected fred client. Dropping it aborts its task and closes the connection; commands in flight fail.
pub(super) struct Connection {
    client: Client,
    _router: AbortOnDropHandle<Result<(), Error>>,
}

impl Connection {
    /// Connects once. Afterwards fred reconnects by itself, by its policy.
    pub(super) async fn open(client: Client) -> Result<Self, Error> {
        // Boxed: the future has 8 KiB, which every caller's future would include.
        let router = Box::pin(client.init()).await?;
        Ok(Self {
            client,
            _router: AbortOnDropHandle::new(router),
        })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }
}
