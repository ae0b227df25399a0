//! Close delay of each socket: when the drain window begins, sockets close over it, so that clients do not reconnect in one wave.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use lifecycle::Entropy;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Drain window of a node.
pub(crate) struct DrainWindow {
    /// Cancelled when the window begins: at the end of the node's drain delay.
    pub(crate) soft: CancellationToken,
    /// Time over which the closes are spread.
    pub(crate) length: Duration,
    /// Source of the delays.
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl DrainWindow {
    /// Delay of one socket, drawn when the window begins.
    pub(super) fn delay(&self) -> CloseDelay {
        CloseDelay {
            soft: Box::pin(self.soft.clone().cancelled_owned()),
            window: self.length,
            entropy: Arc::clone(&self.entropy),
            is_drawn: false,
        }
    }
}

/// Close delay of one socket.
pub(super) struct CloseDelay {
    soft: Pin<Box<WaitForCancellationFutureOwned>>,
    window: Duration,
    entropy: Arc<dyn Entropy>,
    is_drawn: bool,
}

impl CloseDelay {
    /// Resolves when the drain window begins, with the time at which the socket closes; pending before and ever after.
    pub(super) async fn window_begins(&mut self) -> Instant {
        if self.is_drawn {
            std::future::pending::<()>().await;
        }
        self.soft.as_mut().await;
        self.is_drawn = true;
        self.close_at()
    }

    /// Draws a time within one window from now.
    pub(super) fn close_at(&self) -> Instant {
        Instant::now() + fraction(self.window, &*self.entropy)
    }

    /// Draws the time that the client is asked to wait before it reconnects.
    pub(super) fn reconnect_after(&self) -> Duration {
        fraction(RECONNECT_WITHIN, &*self.entropy)
    }
}

/// Draws a duration evenly from zero to `whole`.
fn fraction(whole: Duration, entropy: &dyn Entropy) -> Duration {
    let drawn = u32::from_le_bytes(entropy.bytes());
    whole.mul_f64(f64::from(drawn) / f64::from(u32::MAX))
}

/// A draining node spreads its closes already; this spreads those of one moment.
const RECONNECT_WITHIN: Duration = Duration::from_secs(2);
