//! Limits of the command line on the values of a run.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, bail};

use crate::results::{CheckedLimit, Results};

/// Limit on a value of the results, such as `delivery.p99_ms<=250` or `published_per_second>=15000`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Limit {
    name: String,
    bound: Bound,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Limit {
    /// Compares the limit with the results.
    ///
    /// # Errors
    /// If the results have no such value: a limit with a wrong name would hold forever.
    pub(crate) fn check(&self, results: &Results) -> anyhow::Result<CheckedLimit> {
        let values = results.values();
        let Some(figure) = values.get(&self.name) else {
            let names: Vec<&str> = values.keys().map(String::as_str).collect();
            bail!(
                "no value {:?} for the limit {self}; there are {}",
                self.name,
                names.join(", ")
            );
        };
        Ok(CheckedLimit {
            limit: self.to_string(),
            value: figure.value,
            is_met: match self.bound {
                Bound::AtMost(bound) => figure.value <= bound,
                Bound::AtLeast(bound) => figure.value >= bound,
            },
        })
    }
}

impl FromStr for Limit {
    type Err = anyhow::Error;

    /// Parses `NAME<=VALUE` or `NAME>=VALUE`.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, value, make): (_, _, fn(f64) -> Bound) = match (text.split_once("<="), text.split_once(">=")) {
            (Some((name, value)), None) => (name, value, Bound::AtMost),
            (None, Some((name, value))) => (name, value, Bound::AtLeast),
            _ => bail!("give NAME<=VALUE or NAME>=VALUE"),
        };
        let value: f64 = value
            .trim()
            .parse()
            .with_context(|| format!("read the value {value:?}"))?;
        if !value.is_finite() {
            bail!("the value {value} bounds nothing");
        }
        Ok(Self {
            name: name.trim().to_owned(),
            bound: make(value),
        })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bound {
            Bound::AtMost(value) => write!(f, "{}<={value}", self.name),
            Bound::AtLeast(value) => write!(f, "{}>={value}", self.name),
        }
    }
}
