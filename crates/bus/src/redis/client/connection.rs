//! Connected fred client with the task that drives it.

use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::ClientLike;
use tokio_util::task::AbortOnDropHandle;

use crate::redis::settings::Endpoint;

/// Connected fred client. Dropping it aborts its task and closes the connection; commands in flight fail.
pub(super) struct Connection {
    client: Client,
    server: Endpoint,
    _router: AbortOnDropHandle<Result<(), Error>>,
}

impl Connection {
    /// Connects once. Afterwards fred reconnects by itself, by its policy.
    pub(super) async fn open(client: Client, server: Endpoint) -> Result<Self, Error> {
        let mut connected = client.inner().notifications.connect.load().subscribe();
        // Ends also with this future: the `init` of fred would complete a connect that was cancelled, and keep the connection.
        let router = AbortOnDropHandle::new(client.connect());
        connected.recv().await??;
        Ok(Self {
            client,
            server,
            _router: router,
        })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Server of the connection.
    pub(super) fn server(&self) -> &Endpoint {
        &self.server
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use testkit::{Redis, wait};
    use tokio::time::timeout;

    use crate::redis::client::{Connector, Purpose};
    use crate::redis::tls::RedisTls;

    #[tokio::test]
    async fn cancelled_connect_leaves_no_connection() {
        let mut redis = Redis::start().await;
        let connector = Connector::new(redis.url().parse().unwrap(), &RedisTls::default()).unwrap();
        redis.pause();
        let opened = timeout(Duration::from_millis(100), connector.open_for("any", Purpose::Commands)).await;
        assert!(opened.is_err(), "a paused server answers nothing");
        redis.resume();
        wait::until_true("the connection to close", wait::deadline(), async || {
            redis.command(&["CLIENT", "LIST"]).await.lines().count() == 1
        })
        .await;
    }
}
