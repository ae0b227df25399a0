//! A bad radio link, as TCP over it feels: packets come late, by turns later, and a lost one holds up all behind it until it is
//! sent again.

use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;

use super::SeededRng;

/// How bad a link is, the same in each direction.
#[derive(Clone, Debug)]
pub struct Quality {
    /// How long a packet is under way.
    pub latency: Range<Duration>,
    /// How many of a hundred packets are lost, and sent again.
    pub loss: usize,
    /// How long after a loss that is.
    pub retransmit_after: Range<Duration>,
    /// How many bytes leave in a second.
    pub bytes_per_second: u32,
}

/// One direction of one connection over such a link.
#[derive(Debug)]
pub(super) struct Air {
    quality: Quality,
    rng: SeededRng,
    /// When the packet before has left, and when it arrives.
    left: Instant,
    arrives: Instant,
}

impl Air {
    pub(super) fn new(quality: Quality, rng: SeededRng) -> Self {
        let now = Instant::now();
        Self {
            quality,
            rng,
            left: now,
            arrives: now,
        }
    }

    /// When a packet of so many bytes arrives that is sent now: in its order.
    pub(super) fn send(&mut self, bytes: usize) -> Instant {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let takes = Duration::from_secs(1) * bytes / self.quality.bytes_per_second.max(1);
        self.left = self.left.max(Instant::now()) + takes;
        let mut arrives = self.left + self.rng.between(self.quality.latency.clone());
        while self.rng.below(100) < self.quality.loss {
            arrives += self.rng.between(self.quality.retransmit_after.clone());
        }
        self.arrives = self.arrives.max(arrives);
        self.arrives
    }
}

/// What a packet of TCP holds.
pub(super) const PACKET: usize = 1_400;
