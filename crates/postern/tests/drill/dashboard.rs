//! Queries of the dashboards, run against Prometheus.

use std::time::Duration;

use serde_json::Value;
use testkit::{Prometheus, wait};
use tokio::time::{Instant, interval};

use crate::stage::files;

/// Query of a dashboard, and the panel that it belongs to.
pub(super) struct PanelQuery {
    pub(super) panel: String,
    pub(super) query: String,
}

/// Panels that stay without data, and those whose query is refused, with the reason.
///
/// Gauges of backlogs are absent while what has them is away, and are measured every 10 s.
pub(super) async fn empty_panels(prometheus: &Prometheus) -> Vec<String> {
    let mut empty = queries();
    if empty.is_empty() {
        return vec!["no dashboard has a query".to_owned()];
    }
    let (began, mut ticks) = (Instant::now(), interval(LOOK));
    loop {
        ticks.tick().await;
        let mut findings = Vec::new();
        let mut still_empty = Vec::new();
        for PanelQuery { panel, query } in empty {
            let reason = match prometheus.query(&query).await {
                Ok(samples) if samples.is_empty() => "no data".to_owned(),
                Ok(_) => continue,
                Err(reason) => reason,
            };
            findings.push(format!("{panel}: {reason}: {query}"));
            still_empty.push(PanelQuery { panel, query });
        }
        if findings.is_empty() || began.elapsed() > wait::deadline() {
            return findings;
        }
        empty = still_empty;
    }
}

/// Queries of all panels, their variables substituted.
pub(super) fn queries() -> Vec<PanelQuery> {
    let mut queries = Vec::new();
    for (file, dashboard) in files("charts/postern/dashboards", "json") {
        let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
        let variables = dashboard["templating"]["list"].as_array().into_iter().flatten();
        let variables: Vec<&str> = variables.filter_map(|variable| variable["name"].as_str()).collect();
        for panel in panels(&dashboard) {
            for target in panel["targets"].as_array().into_iter().flatten() {
                queries.push(PanelQuery {
                    panel: format!("{file}, {}", panel["title"]),
                    query: substitute(target["expr"].as_str().unwrap(), &variables),
                });
            }
        }
    }
    queries
}

/// Panels, those within collapsed rows too.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let direct = dashboard["panels"].as_array().into_iter().flatten();
    direct
        .flat_map(|panel| std::iter::once(panel).chain(panel["panels"].as_array().into_iter().flatten()))
        .collect()
}

/// Replaces the variables of Grafana by times, and those of the dashboard by a pattern of everything.
fn substitute(query: &str, variables: &[&str]) -> String {
    let times = [("__rate_interval", "20s"), ("__interval", "5s"), ("__range", "120s")];
    let own = variables.iter().map(|variable| (*variable, ".*"));
    times
        .into_iter()
        .chain(own)
        .fold(query.to_owned(), |query, (variable, value)| {
            query
                .replace(&format!("${{{variable}}}"), value)
                .replace(&format!("${variable}"), value)
        })
}

/// Pause between two runs of the queries.
const LOOK: Duration = Duration::from_secs(1);
