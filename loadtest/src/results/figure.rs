//! A value with its unit.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Value with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// Value, in the unit.
    pub(crate) value: f64,
    /// Unit of the value.
    pub(crate) unit: Unit,
}

/// Unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// Number of things.
    Count,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Things a second.
    PerSecond,
    /// CPU seconds a second.
    Cores,
}

impl Figure {
    /// Figure of a value and its unit.
    pub(crate) fn new(value: f64, unit: Unit) -> Self {
        Self { value, unit }
    }

    /// Number of things.
    pub(crate) fn count(count: u64) -> Self {
        Self::new(count as f64, Unit::Count)
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value;
        match self.unit {
            Unit::Count if value.fract() == 0.0 => f.pad(&grouped(value)),
            Unit::Count => f.pad(&significant(value)),
            Unit::Milliseconds => f.pad(&format!("{} ms", significant(value))),
            Unit::Seconds => f.pad(&format!("{} s", significant(value))),
            Unit::Bytes if value.abs() >= 10.0 * GIB => f.pad(&format!("{} GiB", significant(value / GIB))),
            Unit::Bytes if value.abs() >= MIB => f.pad(&format!("{} MiB", significant(value / MIB))),
            Unit::Bytes => f.pad(&format!("{} B", grouped(value))),
            Unit::PerSecond => f.pad(&format!("{}/s", significant(value))),
            Unit::Cores => f.pad(&format!("{} cores", significant(value))),
        }
    }
}

const MIB: f64 = 1024.0 * 1024.0;
const GIB: f64 = 1024.0 * MIB;

/// Three significant digits, and whole numbers in groups of three digits.
fn significant(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => grouped(value),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 || size == 0.0 => format!("{value:.2}"),
        size if size >= 0.1 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

/// The rounded number, in groups of three digits.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let sign = if value.round() < 0.0 { "-" } else { "" };
    let mut text = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_print_three_significant_digits_and_their_unit() {
        let printed = |value, unit| Figure::new(value, unit).to_string();
        assert_eq!(printed(1_234_567.0, Unit::Count), "1,234,567");
        assert_eq!(printed(-1_234.0, Unit::Count), "-1,234");
        assert_eq!(printed(2.5, Unit::Count), "2.50");
        assert_eq!(printed(0.4512, Unit::Milliseconds), "0.451 ms");
        assert_eq!(printed(12.34, Unit::Seconds), "12.3 s");
        assert_eq!(printed(16_384.0, Unit::Bytes), "16,384 B");
        assert_eq!(printed(2_560.0 * GIB, Unit::Bytes), "2,560 GiB");
        assert_eq!(printed(12.0 * MIB, Unit::Bytes), "12.0 MiB");
        assert_eq!(printed(15_000.0, Unit::PerSecond), "15,000/s");
        assert_eq!(printed(0.0, Unit::Cores), "0.00 cores");
    }
}
