//! What was running when the time to drain was over.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// How a drain went. Prints as `nothing cut` or as what was: `connection x3, outbox relay x1`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// The tasks that did not finish in time and were dropped: how many of each name.
    pub cut: BTreeMap<&'static str, usize>,
}

impl DrainReport {
    /// Whether every task finished by itself.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.cut.is_empty()
    }
}

impl fmt::Display for DrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return f.write_str("nothing cut");
        }
        for (i, (name, count)) in self.cut.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{name} x{count}")?;
        }
        Ok(())
    }
}

/// How many tasks of each name run now.
#[derive(Debug, Default)]
pub(super) struct Running {
    by_name: Mutex<BTreeMap<&'static str, usize>>,
}

impl Running {
    pub(super) fn enter(&self, name: &'static str) {
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        *by_name.entry(name).or_default() += 1;
    }

    pub(super) fn leave(&self, name: &'static str) {
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_name.get_mut(name) {
            *count = count.saturating_sub(1);
        }
    }

    pub(super) fn report(&self) -> DrainReport {
        let by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        let cut = by_name.iter().filter(|(_, count)| **count > 0);
        DrainReport {
            cut: cut.map(|(name, count)| (*name, *count)).collect(),
        }
    }
}
