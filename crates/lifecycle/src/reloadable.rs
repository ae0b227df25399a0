//! Value that may be replaced while the node runs.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

/// Value that may be replaced while the node runs, such as the keys that verify tokens.
///
/// Clones share one value. Readers never block, and keep what they have read: a replacement counts from the next
/// [`Reloadable::get`] on.
pub struct Reloadable<T> {
    current: Arc<ArcSwap<T>>,
}

impl<T> Reloadable<T> {
    /// Wraps the first value.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self {
            current: Arc::new(ArcSwap::from_pointee(value)),
        }
    }

    /// Current value, for the price of a reference count.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Replaces the value for all clones.
    pub fn set(&self, value: impl Into<Arc<T>>) {
        self.current.store(value.into());
    }
}

impl<T> Clone for Reloadable<T> {
    fn clone(&self) -> Self {
        Self {
            current: Arc::clone(&self.current),
        }
    }
}

/// Prints as the current value.
impl<T: fmt::Debug> fmt::Debug for Reloadable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.get(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_value_is_read_by_all_clones_and_an_earlier_read_keeps_its_own() {
        let keys = Reloadable::new("old");
        let reader = keys.clone();
        let before = reader.get();
        keys.set("new");
        assert_eq!((*before, *reader.get()), ("old", "new"));
    }
}
