//! Counters whose series exist from the start: a rise from nothing to one is no rise to Prometheus, which misses the first event.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};
use protocol::code::ErrorCode;

use crate::label::Label;

/// Labels of one series.
pub(super) type Series = Vec<KeyValue>;

/// Counter with these series, all zero.
pub(super) fn counter(
    meter: &Meter,
    name: &'static str,
    description: &'static str,
    series: impl IntoIterator<Item = Series>,
) -> Counter<u64> {
    let counter = meter.u64_counter(name).with_description(description).build();
    series.into_iter().for_each(|labels| counter.add(0, &labels));
    counter
}

/// The one series of a counter without labels.
pub(super) fn single() -> [Series; 1] {
    [Series::new()]
}

/// Series for each label of a set.
pub(super) fn each<L: Label>(key: &'static str) -> Vec<Series> {
    texts(key, L::ALL.iter().map(|label| label.label()))
}

/// Series for each text.
pub(super) fn texts(key: &'static str, texts: impl IntoIterator<Item = &'static str>) -> Vec<Series> {
    let series = texts.into_iter().map(|text| vec![KeyValue::new(key, text)]);
    series.collect()
}

/// Series of the outcomes of requests: `ok`, and each error code.
pub(super) fn outcomes() -> Vec<Series> {
    texts(
        "outcome",
        ["ok"].into_iter().chain(ErrorCode::ALL.map(ErrorCode::as_str)),
    )
}

/// Series for each pair.
pub(super) fn pairs(one: &[Series], other: &[Series]) -> Vec<Series> {
    let pairs = one.iter().flat_map(|one| {
        other
            .iter()
            .map(move |other| [one.as_slice(), other.as_slice()].concat())
    });
    pairs.collect()
}

/// Outcome of a request.
pub(super) fn outcome(error: Option<ErrorCode>) -> KeyValue {
    KeyValue::new("outcome", error.map_or("ok", ErrorCode::as_str))
}
