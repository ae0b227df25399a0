//! Sampling of the spans of deliveries, apart from all others: one event is delivered by many nodes.

use protocol::trace::TraceParent;

/// Share of deliveries with a span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeliverySampling {
    /// Deliveries with a lower number have a span; `u64::MAX` is all of them.
    bound: u64,
}

impl DeliverySampling {
    /// No delivery has a span.
    pub const NONE: Self = Self { bound: 0 };

    /// Takes a share from 0 to 1 of the deliveries of events whose publication is sampled.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of a float saturates, and the bound is at least 0"
    )]
    pub fn new(ratio: f64) -> Self {
        Self {
            bound: (ratio.clamp(0.0, 1.0) * TWO_TO_64) as u64,
        }
    }

    /// Returns true if the deliveries of this publication have a span, on each node: only where the publication was sampled.
    #[must_use]
    pub fn takes(self, published: &TraceParent) -> bool {
        published.is_sampled() && (mixed(published.span()) < self.bound || self.is_all())
    }

    fn is_all(self) -> bool {
        self.bound == u64::MAX
    }
}

const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;

/// Finalizer of splitmix64: whatever draws the ids of spans, their share is the same.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(span: u64, is_sampled: bool) -> TraceParent {
        TraceParent::of_span(1, span, is_sampled).unwrap()
    }

    fn taken(sampling: DeliverySampling, is_sampled: bool) -> usize {
        let takes = |span: &u64| sampling.takes(&published(*span, is_sampled));
        (1..=10_000).filter(takes).count()
    }

    #[test]
    fn share_of_the_deliveries_of_sampled_publications_is_taken() {
        for (ratio, least, most) in [
            (0.0, 0, 0),
            (0.1, 850, 1_150),
            (0.5, 4_750, 5_250),
            (1.0, 10_000, 10_000),
            (-1.0, 0, 0),
            (f64::NAN, 0, 0),
            (7.0, 10_000, 10_000),
        ] {
            let count = taken(DeliverySampling::new(ratio), true);
            assert!((least..=most).contains(&count), "{ratio}: {count}");
        }
        assert_eq!(taken(DeliverySampling::NONE, true), 0);
    }

    #[test]
    fn delivery_of_a_publication_that_is_not_sampled_is_never_taken() {
        assert_eq!(taken(DeliverySampling::new(1.0), false), 0);
    }
}
