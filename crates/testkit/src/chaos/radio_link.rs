//! Degraded radio link as TCP experiences it: packets are delayed by varying times, and a lost one delays all behind it until
//! its retransmission.

use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;

use super::SeededRng;

/// Quality of a link, the same in each direction.
#[derive(Clone, Debug)]
pub struct Quality {
    /// Transmission time of a packet.
    pub latency: Range<Duration>,
    /// Percentage of packets that are lost and retransmitted.
    pub loss: usize,
    /// Time from a loss to the retransmission.
    pub retransmit_after: Range<Duration>,
    /// Bandwidth, in bytes per second.
    pub bytes_per_second: u32,
}

/// One direction of one connection over such a link.
#[derive(Debug)]
pub(super) struct RadioLink {
    quality: Quality,
    rng: SeededRng,
    /// Departure and arrival of the previous packet.
    left: Instant,
    arrives: Instant,
}

impl RadioLink {
    pub(super) fn new(quality: Quality, rng: SeededRng) -> Self {
        let now = Instant::now();
        Self {
            quality,
            rng,
            left: now,
            arrives: now,
        }
    }

    /// Arrival time of a packet that is sent now, never before that of an earlier packet.
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

/// Payload of a TCP packet.
pub(super) const PACKET: usize = 1_400;
