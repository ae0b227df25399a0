//! One fred client together with the task that drives it.

use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::ClientLike;
use tokio_util::task::AbortOnDropHandle;

/// A connected client. Dropping it ends its task and closes its connection; commands under way fail.
pub(super) struct Link {
    client: Client,
    _router: AbortOnDropHandle<Result<(), Error>>,
}

impl Link {
    /// Connects once. Afterwards fred reconnects by itself, as its policy says.
    pub(super) async fn open(client: Client) -> Result<Self, Error> {
        // Boxed: it is 8 KiB that every caller would carry along.
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
