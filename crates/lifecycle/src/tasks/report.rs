//! Report of the tasks that were running at the end of the drain window.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Result of a drain. Prints as `nothing cut` or with the dropped tasks: `cut: connection x3, outbox relay x1`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// Number of tasks of each name that did not finish in time and were dropped.
    pub cut: BTreeMap<&'static str, usize>,
}

impl DrainReport {
    /// Reports whether every task finished by itself.
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
            let separator = if i == 0 { "cut: " } else { ", " };
            write!(f, "{separator}{name} x{count}")?;
        }
        Ok(())
    }
}

/// Number of running tasks of each name.
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
