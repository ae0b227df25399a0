//! Answers of Prometheus' HTTP API.

use std::collections::BTreeMap;

use serde_json::Value;

/// Labels of a series, an alert or a rule.
type Labels = BTreeMap<String, String>;

/// Series of the result of an instant query. A scalar is one without labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Labels, the metric's name among them as `__name__`.
    pub labels: Labels,
    /// Value; NaN where the query divides nothing by nothing.
    pub value: f64,
}

/// Alert that is pending or firing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Name of its rule.
    pub name: String,
    /// Labels without the name.
    pub labels: Labels,
    /// False while the condition holds for less than the rule's `for`.
    pub is_firing: bool,
}

/// Alerting or recording rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Name of the alert, or of the recorded series.
    pub name: String,
    /// Expression, as Prometheus formats it.
    pub query: String,
    /// True for an alerting rule.
    pub is_alert: bool,
    /// Reason why the last evaluation failed.
    pub error: Option<String>,
}

impl Sample {
    pub(super) fn all(data: &Value) -> Vec<Self> {
        let value = |value: &Value| value[1].as_str()?.parse::<f64>().ok();
        if data["resultType"] == "scalar" {
            let labels = Labels::new();
            return value(&data["result"])
                .map(|value| Self { labels, value })
                .into_iter()
                .collect();
        }
        let samples = data["result"].as_array().into_iter().flatten();
        let sample = |sample: &Value| {
            Some(Self {
                labels: labels(&sample["metric"]),
                value: value(&sample["value"])?,
            })
        };
        samples.filter_map(sample).collect()
    }
}

impl Alert {
    pub(super) fn all(data: &Value) -> Vec<Self> {
        let alerts = data["alerts"].as_array().into_iter().flatten();
        let alert = |alert: &Value| {
            let mut labels = labels(&alert["labels"]);
            Self {
                name: labels.remove("alertname").unwrap_or_default(),
                labels,
                is_firing: alert["state"] == "firing",
            }
        };
        alerts.map(alert).collect()
    }
}

impl Rule {
    pub(super) fn all(data: &Value) -> Vec<Self> {
        let groups = data["groups"].as_array().into_iter().flatten();
        let rules = groups.filter_map(|group| group["rules"].as_array()).flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let rule = |rule: &Value| Self {
            name: text(&rule["name"]),
            query: text(&rule["query"]),
            is_alert: rule["type"] == "alerting",
            error: Some(text(&rule["lastError"])).filter(|error| !error.is_empty()),
        };
        rules.map(rule).collect()
    }
}

fn labels(labels: &Value) -> Labels {
    let labels = labels.as_object().into_iter().flatten();
    labels
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}
