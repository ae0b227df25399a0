//! When the node drains, each socket leaves at a turn of its own, so that its clients do not come back as one wave.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use lifecycle::Entropy;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A socket's turn to leave.
pub(super) struct Turn {
    soft: Pin<Box<WaitForCancellationFutureOwned>>,
    window: Duration,
    entropy: Arc<dyn Entropy>,
    drawn: bool,
}

impl Turn {
    /// A turn within `window` of the moment when `soft` is cancelled.
    pub(super) fn new(soft: &CancellationToken, window: Duration, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            soft: Box::pin(soft.clone().cancelled_owned()),
            window,
            entropy,
            drawn: false,
        }
    }

    /// When the turn is, once the node drains; pending before that, and ever after.
    pub(super) async fn comes(&mut self) -> Instant {
        if self.drawn {
            std::future::pending::<()>().await;
        }
        self.soft.as_mut().await;
        self.drawn = true;
        self.draw()
    }

    /// A turn within the same window, from now on.
    pub(super) fn draw(&self) -> Instant {
        Instant::now() + fraction(self.window, &*self.entropy)
    }

    /// How long the client is asked to wait before it comes back.
    pub(super) fn reconnect_after(&self) -> Duration {
        fraction(RECONNECT_WITHIN, &*self.entropy)
    }
}

/// A duration drawn evenly from zero to `whole`.
fn fraction(whole: Duration, entropy: &dyn Entropy) -> Duration {
    let drawn = u32::from_le_bytes(entropy.bytes());
    whole.mul_f64(f64::from(drawn) / f64::from(u32::MAX))
}

/// A draining node spreads its closes already; this is for those that share a moment.
const RECONNECT_WITHIN: Duration = Duration::from_secs(2);
