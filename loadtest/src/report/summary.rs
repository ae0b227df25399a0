//! Summary table of a run.

use std::fmt;

use crate::results::Results;

/// Table of the values of a run, and of its limits.
pub(crate) struct Summary<'a>(pub(crate) &'a Results);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let results = self.0;
        writeln!(
            f,
            "{} of {}, {:.1} s",
            results.subject.scenario, results.subject.label, results.seconds
        )?;
        let values = results.values();
        let widest = values.keys().map(|name| name.chars().count()).max().unwrap_or_default();
        for (name, figure) in &values {
            writeln!(f, "  {name:<widest$}  {figure:>14}")?;
        }
        for limit in &results.limits {
            let verdict = if limit.is_met { "met" } else { "NOT MET" };
            writeln!(f, "  limit {}: {verdict} ({})", limit.limit, limit.value)?;
        }
        Ok(())
    }
}
