//! Scales of the axes of plots.

/// Scale of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// Values as they are, beginning at 0.
    Linear,
    /// Decades.
    Logarithmic,
    /// Percentiles, each further nine as wide as the one before.
    Percentiles,
}

impl Scale {
    /// Values of both edges, so that all values lie between them.
    pub(super) fn domain(self, values: impl Iterator<Item = f64>) -> (f64, f64) {
        let (least, most) = values.fold((f64::MAX, f64::MIN), |(least, most), value| {
            (least.min(value), most.max(value))
        });
        match self {
            Self::Linear => (0.0, if most > 0.0 { most * 1.05 } else { 1.0 }),
            Self::Logarithmic => {
                let least = 10f64.powf(least.max(SMALLEST).log10().floor());
                (least, 10f64.powf(most.max(least * 10.0).log10().ceil()))
            }
            Self::Percentiles => (0.0, most),
        }
    }

    /// Position of a value between the edges: 0 to 1.
    pub(super) fn fraction(self, (from, to): (f64, f64), value: f64) -> f64 {
        let (from, to) = (self.position(from), self.position(to));
        ((self.position(value) - from) / (to - from).max(f64::EPSILON)).clamp(0.0, 1.0)
    }

    /// Values and labels of the ticks between the edges.
    pub(super) fn ticks(self, (from, to): (f64, f64)) -> Vec<(f64, String)> {
        let within = |values: Vec<f64>| -> Vec<(f64, String)> {
            let values = values.into_iter().filter(|value| (from..=to).contains(value));
            values.map(|value| (value, format!("{value}"))).collect()
        };
        match self {
            Self::Linear => {
                let step = step(to - from);
                let at = |tick: i32| round(f64::from(tick) * step, step);
                within((0..=LINEAR_TICKS).map(at).collect())
            }
            Self::Logarithmic => within(
                (-3..=9)
                    .map(|power| round(10f64.powi(power), 10f64.powi(power)))
                    .collect(),
            ),
            Self::Percentiles => within(vec![0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999, 99.9999]),
        }
    }

    fn position(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Logarithmic => value.max(SMALLEST).log10(),
            Self::Percentiles => -(1.0 - value / 100.0).max(1e-9).log10(),
        }
    }
}

/// Least value of a logarithmic axis.
const SMALLEST: f64 = 0.001;
const LINEAR_TICKS: i32 = 10;

/// Step of 1, 2 or 5 times a power of ten, so that an axis has at most seven ticks.
fn step(range: f64) -> f64 {
    let raw = range / 6.0;
    let power = 10f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| factor * power >= raw)
        .unwrap_or(10.0);
    factor * power
}

/// The value without the error of its multiplication, so that it prints short.
fn round(value: f64, step: f64) -> f64 {
    let digits = (-step.log10().floor()).max(0.0);
    let scale = 10f64.powf(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, domain: (f64, f64)) -> Vec<String> {
        scale.ticks(domain).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_numbers_within_the_edges() {
        assert_eq!(labels(Scale::Linear, (0.0, 1.3)), ["0", "0.5", "1"]);
        assert_eq!(labels(Scale::Linear, (0.0, 0.07)), ["0", "0.02", "0.04", "0.06"]);
        assert_eq!(labels(Scale::Logarithmic, (0.1, 100.0)), ["0.1", "1", "10", "100"]);
        assert_eq!(
            labels(Scale::Percentiles, (0.0, 99.95)),
            ["0", "50", "90", "99", "99.9"]
        );
    }

    #[test]
    fn logarithmic_edges_are_whole_decades_and_further_nines_are_equally_wide() {
        assert_eq!(Scale::Logarithmic.domain([0.3, 42.0].into_iter()), (0.1, 100.0));
        let width =
            |from, to| Scale::Percentiles.fraction((0.0, 99.99), to) - Scale::Percentiles.fraction((0.0, 99.99), from);
        assert!((width(0.0, 90.0) - width(99.0, 99.9)).abs() < 1e-6);
        assert!((Scale::Logarithmic.fraction((0.1, 100.0), 0.0)).abs() < 1e-9);
    }
}
