//! The simulator's own clock.

use time::UtcDateTime;

/// Current time at the platforms.
#[expect(
    clippy::disallowed_methods,
    reason = "the simulator plays the outside world, whose clock a node cannot set; it must agree with the `Date` header"
)]
pub(crate) fn now() -> UtcDateTime {
    std::time::SystemTime::now().into()
}
