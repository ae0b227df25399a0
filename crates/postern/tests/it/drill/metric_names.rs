//! Names of metrics: those that Prometheus has scraped, those of docs/operations/metrics.md, and those that rules and dashboards use.

use std::collections::BTreeSet;

use testkit::Prometheus;

use super::dashboard;
use super::stage::repository;

/// Scraped metrics without documentation, documented ones that no node has, and unknown ones in rules and dashboards.
pub(super) async fn differences(prometheus: &Prometheus) -> Vec<String> {
    let rules = prometheus.rules().await;
    let stored = prometheus.metric_names().await;
    let recorded: BTreeSet<String> = rules.iter().map(|rule| rule.name.clone()).collect();
    let scraped: BTreeSet<String> = stored
        .iter()
        .filter(|name| !recorded.contains(*name) && !is_of_prometheus(name))
        .map(|name| instrument(name, &stored))
        .collect();
    let documented = documented();
    let undocumented = scraped.difference(&documented);
    let unknown = documented
        .difference(&scraped)
        .filter(|name| !ABSENT.contains(&name.as_str()));
    let mut findings: Vec<String> = undocumented
        .map(|name| format!("{name} is not in {PAGE}"))
        .chain(unknown.map(|name| format!("{name} of {PAGE} is not scraped")))
        .collect();
    let of_rules = rules
        .iter()
        .map(|rule| (format!("rule {}", rule.name), rule.query.clone()));
    let of_panels = dashboard::queries().into_iter().map(|query| (query.panel, query.query));
    for (user, query) in of_rules.chain(of_panels) {
        let used = in_query(&query).into_iter();
        let known = |name: &String| {
            stored.contains(name) || recorded.contains(name) || ABSENT.iter().any(|absent| name.starts_with(absent))
        };
        findings.extend(
            used.filter(|name| !known(name))
                .map(|name| format!("{user}: {name} is unknown")),
        );
    }
    findings
}

/// Series that Prometheus adds by itself.
fn is_of_prometheus(name: &str) -> bool {
    name == "up" || name.starts_with("scrape_") || name.starts_with("ALERTS")
}

/// Name of the histogram that a series belongs to, or the name itself.
fn instrument(name: &str, stored: &BTreeSet<String>) -> String {
    let base = ["_bucket", "_count", "_sum"]
        .iter()
        .find_map(|part| name.strip_suffix(part));
    match base {
        Some(base) if stored.contains(&format!("{base}_bucket")) => base.to_owned(),
        _ => name.to_owned(),
    }
}

/// Names in the first column of the page's tables of metrics.
fn documented() -> BTreeSet<String> {
    let page = std::fs::read_to_string(repository().join(PAGE)).unwrap();
    let (metrics, _) = page.split_once("\n## Alerts").unwrap_or((&page, ""));
    let cells = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('|').next());
    let words = cells.flat_map(|cell| cell.split('`').step_by(2));
    words
        .map(|word| word.split('{').next().unwrap().to_owned())
        .filter(|word| !word.is_empty() && is_identifier(word))
        .collect()
}

/// Names of the metrics in a query: identifiers that are no function, no keyword and no label.
fn in_query(query: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut rest = query;
    // Label lists follow these words, and matchers stand in braces.
    let mut labels_follow = false;
    while let Some(first) = rest.chars().next() {
        let word = rest.split(|c: char| !is_of_identifier(c)).next().unwrap();
        let end = match first {
            '"' => 2 + rest.split_at(1).1.find('"').unwrap(),
            '{' => closing(rest, '}'),
            '(' if labels_follow => closing(rest, ')'),
            '[' => closing(rest, ']'),
            _ => word.len().max(first.len_utf8()),
        };
        let (_, after) = rest.split_at(end);
        if !word.is_empty() {
            let is_call = after.trim_start().starts_with('(');
            if is_identifier(word) && !is_call && !KEYWORDS.contains(&word) {
                names.insert(word.to_owned());
            }
            labels_follow = LABEL_LISTS.contains(&word);
        } else if !first.is_whitespace() {
            labels_follow = false;
        }
        rest = after;
    }
    names
}

/// Length up to and including the closing mark. Texts in between may contain it.
fn closing(text: &str, mark: char) -> usize {
    let mut in_text = false;
    let mut found = text.char_indices().filter(|(_, c)| {
        in_text ^= *c == '"';
        *c == mark && !in_text
    });
    found.next().unwrap().0 + 1
}

fn is_identifier(word: &str) -> bool {
    word.chars().all(is_of_identifier) && !word.starts_with(|c: char| c.is_ascii_digit())
}

fn is_of_identifier(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

const PAGE: &str = "docs/operations/metrics.md";

/// Metrics that no node of the drill has: rate counters have no Redis of their own here.
const ABSENT: [&str; 0] = [];

const LABEL_LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

const KEYWORDS: [&str; 15] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "and",
    "or",
    "unless",
    "bool",
    "offset",
    "atan2",
    "inf",
    "nan",
    "Inf",
];

#[test]
fn metrics_of_a_query_are_found_among_functions_labels_and_texts() {
    let query = r#"sum by (le, pod) (rate(a_bucket{le="0.5",of=~"x)}|y"}[5m] offset 1h)) / on (pod) group_left() b:c > 0 unless d"#;
    let names: BTreeSet<String> = ["a_bucket", "b:c", "d"].map(str::to_owned).into();
    assert_eq!(in_query(query), names);
}
