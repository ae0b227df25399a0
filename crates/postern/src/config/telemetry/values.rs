//! Values of the variables.

use std::num::NonZeroU32;
use std::time::Duration;

use telemetry::export::Temporality;

use crate::config::Problems;
use crate::config::number::number;

/// Text of a variable, which counts as not set when it is empty.
pub(super) fn or_default<'a>(text: &'a str, default: &'a str) -> &'a str {
    match text.trim() {
        "" => default,
        text => text,
    }
}

pub(super) fn boolean(text: &str) -> Result<bool, &'static str> {
    match text.trim().to_ascii_lowercase().as_str() {
        "" | "false" => Ok(false),
        "true" => Ok(true),
        _ => Err("is `true` or `false`"),
    }
}

/// Baggage is in the standard's default, and carries nothing here.
pub(super) fn check_propagators(text: &str) -> Result<(), &'static str> {
    let mut names = text.split(',').map(str::trim);
    let has_context = names.clone().any(|name| name == "tracecontext");
    if has_context && names.all(|name| matches!(name, "tracecontext" | "baggage")) {
        Ok(())
    } else {
        Err("is `tracecontext` or `tracecontext,baggage`: no other format is supported")
    }
}

pub(super) fn temporality(text: &str) -> Result<Temporality, &'static str> {
    match text.trim().to_ascii_lowercase().as_str() {
        "" | "cumulative" => Ok(Temporality::Cumulative),
        "delta" => Ok(Temporality::Delta),
        "lowmemory" => Ok(Temporality::LowMemory),
        _ => Err("is `cumulative`, `delta` or `lowmemory`"),
    }
}

pub(super) fn milliseconds(variable: &'static str, text: &str, problems: &mut Problems) -> Option<Duration> {
    let expected = "a number of milliseconds, at least 1";
    let milliseconds = problems.take(variable, number::<NonZeroU32>(text, expected))?;
    Some(Duration::from_millis(milliseconds.get().into()))
}

pub(super) fn count(variable: &'static str, text: &str, problems: &mut Problems) -> Option<usize> {
    let count = problems.take(variable, number::<u32>(text, COUNT))?;
    let in_bounds = usize::try_from(count)
        .ok()
        .filter(|count| (1..=MAX_COUNT).contains(count));
    if in_bounds.is_none() {
        problems.report(variable, format!("is {COUNT}"));
    }
    in_bounds
}

pub(super) fn within(variable: &'static str, batch: usize, queue: usize, problems: &mut Problems) -> Option<usize> {
    if batch > queue {
        problems.report(variable, "is more than the bound of the queue");
        return None;
    }
    Some(batch)
}

pub(super) fn limit(variable: &'static str, text: &str, problems: &mut Problems) -> Option<u32> {
    problems.take(variable, number(text, "a number"))
}

const COUNT: &str = "a number from 1 to 1048576";
/// Bound of a queue, whose items may take a kilobyte each.
const MAX_COUNT: usize = 1_048_576;
