//! Names of metrics: those that Prometheus has scraped, those of docs/operations/metrics.md, and those that rules and dashboards use.

use std::collections::BTreeSet;

use testkit::Prometheus;

use crate::dashboard;
use crate::promql;
use crate::stage::repository;

/// Scraped metrics without documentation, documented ones that no node has, and unknown ones in rules and dashboards.
pub(super) async fn differences(prometheus: &Prometheus) -> Vec<String> {
    let rules = prometheus.rules().await;
    let stored = prometheus.metric_names().await;
    let recorded: BTreeSet<String> = rules.iter().map(|rule| rule.name.clone()).collect();
    let scraped: BTreeSet<String> = stored
        .iter()
        .filter(|name| !recorded.contains(*name) && !is_added(name))
        .map(|name| instrument(name, &stored))
        .collect();
    let documented = documented();
    let undocumented = scraped.difference(&documented);
    let unknown = documented.difference(&scraped);
    let mut findings: Vec<String> = undocumented
        .map(|name| format!("{name} is not in {PAGE}"))
        .chain(unknown.map(|name| format!("{name} of {PAGE} is not scraped")))
        .collect();
    let of_rules = rules
        .iter()
        .map(|rule| (format!("rule {}", rule.name), rule.query.clone()));
    let of_panels = dashboard::queries().into_iter().map(|query| (query.panel, query.query));
    for (user, query) in of_rules.chain(of_panels) {
        let used = promql::metric_names(&query).into_iter();
        let known = |name: &String| stored.contains(name) || recorded.contains(name);
        findings.extend(
            used.filter(|name| !known(name))
                .map(|name| format!("{user}: {name} is unknown")),
        );
    }
    findings
}

/// Series that Prometheus adds by itself, and `target_info`, which OpenTelemetry's exporter adds.
fn is_added(name: &str) -> bool {
    name == "up" || name == "target_info" || name.starts_with("scrape_") || name.starts_with("ALERTS")
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
        .filter(|word| !word.is_empty() && promql::is_identifier(word))
        .collect()
}

const PAGE: &str = "docs/operations/metrics.md";
