//! Names of metrics in queries of Prometheus.

use std::collections::BTreeSet;

/// Names of the metrics in a query: identifiers that are no function, no keyword and no label.
pub(super) fn metric_names(query: &str) -> BTreeSet<String> {
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
            let next = after.trim_start();
            // A function, or an aggregation such as `sum by (pod) (...)`.
            let is_call = ["(", "by ", "by(", "without ", "without("]
                .iter()
                .any(|mark| next.starts_with(mark));
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

pub(super) fn is_identifier(word: &str) -> bool {
    word.chars().all(is_of_identifier) && !word.starts_with(|c: char| c.is_ascii_digit())
}

fn is_of_identifier(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

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
    assert_eq!(metric_names(query), names);
}
