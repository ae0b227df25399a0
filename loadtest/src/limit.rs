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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Figure, Unit};

    fn results(values: &[(&str, f64)]) -> Results {
        let figure = |(name, value): &(&str, f64)| ((*name).to_owned(), Figure::new(*value, Unit::Milliseconds));
        Results {
            counts: [("lost".to_owned(), 0)].into(),
            figures: values.iter().map(figure).collect(),
            ..Results::default()
        }
    }

    fn is_met(limit: &str, value: f64) -> bool {
        let limit: Limit = limit.parse().unwrap();
        limit.check(&results(&[("p99", value)])).unwrap().is_met
    }

    #[test]
    fn limit_is_met_up_to_its_value_and_not_beyond() {
        for (value, at_most, at_least) in [(249.9, true, false), (250.0, true, true), (250.1, false, true)] {
            assert_eq!(is_met("p99<=250", value), at_most, "{value}");
            assert_eq!(is_met("p99>=250", value), at_least, "{value}");
        }
    }

    #[test]
    fn checked_limit_states_itself_and_the_value_of_its_name() {
        let limit: Limit = " p99 <= 2.5 ".parse().unwrap();
        let checked = limit.check(&results(&[("p50", 1.0), ("p99", 3.0)])).unwrap();
        assert_eq!(
            (checked.limit.as_str(), checked.value, checked.is_met),
            ("p99<=2.5", 3.0, false)
        );
        let lost: Limit = "lost<=0".parse().unwrap();
        assert!(lost.check(&results(&[])).unwrap().is_met, "a count can be limited");
    }

    #[test]
    fn limit_on_an_unknown_value_is_an_error_that_lists_the_known_ones() {
        let limit: Limit = "p9<=1".parse().unwrap();
        let error = limit.check(&results(&[("p99", 0.0)])).unwrap_err().to_string();
        assert_eq!(error, r#"no value "p9" for the limit p9<=1; there are lost, p99"#);
    }

    #[test]
    fn text_that_bounds_nothing_is_no_limit() {
        for text in [
            "p99",
            "p99<250",
            "p99=250",
            "p99<=",
            "p99<=x",
            "p99<=NaN",
            "p99>=inf",
            "1<=p99>=2",
            "",
        ] {
            assert!(text.parse::<Limit>().is_err(), "{text}");
        }
    }
}
