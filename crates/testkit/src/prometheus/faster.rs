//! Rules whose times are shorter by a factor, so that a drill of minutes evaluates rules of hours.

use std::time::Duration;

/// Transformation of a rule file: every `for`, `keep_firing_for`, `interval`, `offset` and range (`[5m]`) is divided by a factor,
/// and a range stays at least as long as rates need.
///
/// Thresholds stay as they are: those of ratios, rates and durations mean the same over a shorter range, while one of a count over
/// a range (`increase(...[1h]) > 5`) becomes harder to reach.
#[derive(Clone, Copy, Debug)]
pub struct Faster {
    /// Divisor of all times.
    pub factor: u32,
    /// Shortest range: a few times the scrape interval.
    pub shortest_range: Duration,
}

impl Faster {
    /// Transforms the content of a rule file.
    pub fn rules(&self, rules: &str) -> String {
        rules.lines().map(|line| self.line(line) + "\n").collect()
    }

    fn line(&self, line: &str) -> String {
        let key = line.trim_start().trim_start_matches("- ");
        if let Some((name, value)) = key.split_once(':')
            && KEYS.contains(&name)
            && let Some(time) = duration(value.trim())
        {
            let indent = line.strip_suffix(key).unwrap_or_default();
            return format!("{indent}{name}: {}", self.shortened(time, Duration::ZERO));
        }
        self.expression(line)
    }

    /// Replaces what follows each `[`, each `:` of a subquery and each `offset`.
    fn expression(&self, line: &str) -> String {
        let mut rest = line;
        let mut changed = String::new();
        while let Some((at, least)) = self.next_time(rest) {
            let (before, time_and_more) = rest.split_at(at);
            let end = time_and_more
                .find(|c: char| !c.is_ascii_alphanumeric())
                .unwrap_or(time_and_more.len());
            let (time, more) = time_and_more.split_at(end);
            changed += before;
            match duration(time) {
                Some(time) => changed += &self.shortened(time, least),
                None => changed += time,
            }
            rest = more;
        }
        changed + rest
    }

    /// Position of the next word that may be a time, and the shortest one allowed there.
    fn next_time(&self, text: &str) -> Option<(usize, Duration)> {
        let marks = [
            ("[", self.shortest_range),
            (":", Duration::ZERO),
            ("offset ", Duration::ZERO),
        ];
        let found = marks
            .iter()
            .filter_map(|(mark, least)| Some((text.find(mark)? + mark.len(), *least)));
        found.min_by_key(|(at, _)| *at)
    }

    fn shortened(&self, time: Duration, least: Duration) -> String {
        let shorter = (time / self.factor).max(least);
        format!("{}ms", shorter.as_millis())
    }
}

/// Duration as Prometheus writes it, such as `1h30m`.
fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit_and_more) = rest.split_at(digits);
        let end = unit_and_more
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(unit_and_more.len());
        let (unit, more) = unit_and_more.split_at(end);
        let (_, milliseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total += Duration::from_millis(number.parse::<u64>().ok()? * milliseconds);
        rest = more;
    }
    (!text.is_empty()).then_some(total)
}

/// Keys of a rule file whose value is a duration.
const KEYS: [&str; 3] = ["for", "keep_firing_for", "interval"];

/// Units and their milliseconds.
const UNITS: [(&str, u64); 6] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_rule_file_are_divided_and_nothing_else_is_changed() {
        let rules = r#"groups:
  - name: five
    interval: 1m
    rules:
      - alert: Late
        expr: rate(late_total{path=~"[a-z]5m"}[1h30m]) > 60 and late_total offset 5m > 5
        for: 10m
        labels: { severity: page }
        annotations: { summary: "Late for 10m." }
      - record: late:rate5m
        expr: max_over_time(late[5m:1m])
"#;
        let faster = Faster {
            factor: 10,
            shortest_range: Duration::from_secs(40),
        };
        let expected = rules
            .replace("interval: 1m", "interval: 6000ms")
            .replace("[1h30m]", "[540000ms]")
            .replace("offset 5m", "offset 30000ms")
            .replace("for: 10m", "for: 60000ms")
            .replace("[5m:1m]", "[40000ms:6000ms]");
        assert_eq!(faster.rules(rules), expected);
    }
}
