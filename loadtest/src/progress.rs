//! Progress bar on a terminal; elsewhere a line every ten seconds.

use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use tokio::time::Instant;

/// Progress of one run, on stderr.
pub(crate) struct Progress {
    is_terminal: bool,
    is_hidden: bool,
    shown: Option<Instant>,
    is_open: bool,
}

impl Progress {
    /// Progress that has shown nothing.
    pub(crate) fn new() -> Self {
        Self {
            is_terminal: stderr().is_terminal(),
            is_hidden: false,
            shown: None,
            is_open: false,
        }
    }

    /// Progress that shows nothing.
    pub(crate) fn hidden() -> Self {
        Self {
            is_hidden: true,
            ..Self::new()
        }
    }

    /// Shows that `done` of `total` of something are done.
    pub(crate) fn show(&mut self, subject: &str, done: u64, total: u64) {
        let pause = if self.is_terminal { REDRAW } else { LINE };
        if self.is_hidden || done < total && self.shown.is_some_and(|shown| shown.elapsed() < pause) {
            return;
        }
        self.shown = Some(Instant::now());
        self.is_open = self.is_terminal;
        let line = bar(done, total);
        let written = match self.is_terminal {
            true => write!(stderr(), "\r{line} {done} of {total} {subject}\x1b[K"),
            false => writeln!(stderr(), "{line} {done} of {total} {subject}"),
        };
        // Without stderr nobody watches.
        drop(written);
    }

    /// Ends the line of the bar.
    pub(crate) fn end(&mut self) {
        if std::mem::take(&mut self.is_open) {
            drop(writeln!(stderr()));
        }
        self.shown = None;
    }
}

fn bar(done: u64, total: u64) -> String {
    let total = total.max(1);
    let filled = usize::try_from(done.min(total) * WIDTH / total).unwrap_or_default();
    let width = usize::try_from(WIDTH).unwrap_or_default();
    format!(
        "[{}{}] {:>3} %",
        "=".repeat(filled),
        " ".repeat(width - filled),
        done.min(total) * 100 / total
    )
}

const WIDTH: u64 = 30;
const REDRAW: Duration = Duration::from_millis(100);
const LINE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_is_filled_by_the_share_and_never_longer_than_its_width() {
        assert_eq!(bar(0, 10), format!("[{}]   0 %", " ".repeat(30)));
        assert_eq!(bar(5, 10), format!("[{}{}]  50 %", "=".repeat(15), " ".repeat(15)));
        assert_eq!(bar(20, 10), format!("[{}] 100 %", "=".repeat(30)));
        assert_eq!(bar(0, 0), format!("[{}]   0 %", " ".repeat(30)));
    }
}
