//! Sampler of traces.

use telemetry::export::TraceSampling;

use crate::config::{Problems, number};

/// Parses the names of OpenTelemetry's samplers, and the ratio of those that have one.
pub(super) fn parse(name: &str, argument: Option<&str>, problems: &mut Problems) -> Option<TraceSampling> {
    let given = ratio(argument.unwrap_or_default(), problems);
    let name = name.trim();
    let root = name.strip_prefix("parentbased_").unwrap_or(name);
    let ratio = match root {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => given?,
        _ => {
            let names = "`always_on`, `always_off`, `traceidratio`, or `parentbased_` and one of these";
            problems.report("OTEL_TRACES_SAMPLER", format!("is {names}"));
            return None;
        }
    };
    // A wrong ratio is a fault also where the sampler has none.
    given.map(|_| TraceSampling {
        ratio,
        honours_parent: root != name,
    })
}

fn ratio(text: &str, problems: &mut Problems) -> Option<f64> {
    if text.trim().is_empty() {
        return Some(1.0);
    }
    problems.take("OTEL_TRACES_SAMPLER_ARG", number::ratio(text))
}
