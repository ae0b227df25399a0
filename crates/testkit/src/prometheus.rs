//! Real Prometheus: scrapes nodes, evaluates rules and answers queries.

mod answer;
mod faster;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;

pub use self::answer::{Alert, Rule, Sample};
pub use self::faster::Faster;

use crate::client::http::{self, Request};
use crate::fail::{OrFail as _, fail};
use crate::port::Port;
use crate::process::{Launch, Process};
use crate::scratch::Scratch;
use crate::wait;

/// Running Prometheus without an Alertmanager. It ends with this value.
#[derive(Debug)]
pub struct Prometheus {
    port: Port,
    process: Process,
    targets: usize,
}

/// Endpoint to scrape, and the labels of its series.
#[derive(Clone, Debug)]
pub struct Target {
    /// Address of a plain HTTP listener with `/metrics`.
    pub addr: SocketAddr,
    /// Labels that each of its series gets.
    pub labels: Vec<(String, String)>,
}

impl Prometheus {
    /// Starts one that scrapes these targets and evaluates these rules (contents of rule files) at this interval, and waits until it
    /// answers. Fails the test if it refuses a rule file.
    pub async fn start(targets: &[Target], rules: &[String], interval: Duration) -> Self {
        let scratch = Arc::new(Scratch::new("prometheus"));
        let names: Vec<_> = (0..rules.len()).map(|number| format!("rules-{number}.yaml")).collect();
        for (name, content) in names.iter().zip(rules) {
            scratch.write(name, content);
        }
        // JSON is YAML too.
        scratch.write("prometheus.yml", config(targets, &names, interval).to_string());
        for attempt in 1..=ATTEMPTS {
            let port = Port::claim();
            if let Some(process) = launch(&scratch, &port, attempt).await {
                return Self {
                    port,
                    process,
                    targets: targets.len(),
                };
            }
        }
        fail(
            "start prometheus",
            format_args!("each of {ATTEMPTS} ports was taken:\n{}", scratch.logs()),
        )
    }

    /// Waits until every target has been scraped.
    pub async fn until_scraped(&self) {
        wait::until_true("each target to be scraped", wait::deadline(), async || {
            let up = self.query("up == 1").await.or_fail("ask for the targets");
            up.len() == self.targets
        })
        .await;
    }

    /// Result of an instant query now, empty when no series matches; `Err` with the reason when Prometheus refuses the query.
    pub async fn query(&self, query: &str) -> Result<Vec<Sample>, String> {
        let query: String = byte_serialize(query.as_bytes()).collect();
        self.ask(&format!("query?query={query}"))
            .await
            .map(|data| Sample::all(&data))
    }

    /// Pending and firing alerts.
    pub async fn alerts(&self) -> Vec<Alert> {
        Alert::all(&self.ask("alerts").await.or_fail("ask for alerts"))
    }

    /// Rules, in the order of their files.
    pub async fn rules(&self) -> Vec<Rule> {
        Rule::all(&self.ask("rules").await.or_fail("ask for rules"))
    }

    /// Names of all series that were ever stored, those of recording rules and of Prometheus itself among them.
    pub async fn metric_names(&self) -> BTreeSet<String> {
        let names = self
            .ask("label/__name__/values")
            .await
            .or_fail("ask for the names of metrics");
        let names = names.as_array().or_fail("read the names of metrics");
        names.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Output of the process.
    pub fn logs(&self) -> String {
        self.process.logs()
    }

    /// Sends a request to the HTTP API; returns `data` of the response, or its `error`.
    async fn ask(&self, path: &str) -> Result<Value, String> {
        let request = Request::get(&format!("/api/v1/{path}"));
        let answer = http::plain(self.port.addr(), &request).await.or_fail("ask Prometheus");
        let answer: Value = answer.json();
        if answer.get("status").and_then(Value::as_str) == Some("success") {
            return Ok(answer.get("data").cloned().unwrap_or_default());
        }
        let reason = answer.get("error").and_then(Value::as_str);
        Err(reason.unwrap_or("no reason given").to_owned())
    }
}

fn config(targets: &[Target], rule_files: &[String], interval: Duration) -> Value {
    let interval = format!("{}ms", interval.as_millis());
    let static_configs: Vec<Value> = targets
        .iter()
        .map(|target| {
            let labels = target.labels.iter().map(|(name, value)| (name.clone(), json!(value)));
            json!({ "targets": [target.addr.to_string()], "labels": labels.collect::<serde_json::Map<_, _>>() })
        })
        .collect();
    json!({
        "global": { "scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval },
        "rule_files": rule_files,
        "scrape_configs": [{ "job_name": "postern", "static_configs": static_configs }],
    })
}

/// Starts Prometheus and waits until it answers; `None` when the port was taken.
async fn launch(scratch: &Arc<Scratch>, port: &Port, attempt: u64) -> Option<Process> {
    let mut command = Command::new("prometheus");
    command
        .arg("--config.file=prometheus.yml")
        .arg(format!("--storage.tsdb.path=data-{attempt}"))
        .arg(format!("--web.listen-address={}", port.addr()));
    let process = Launch::new(format!("prometheus-{attempt}"), scratch, command).start();
    let ready = wait::until("prometheus to answer", wait::deadline(), async || {
        let ended = process.exit_status();
        let log = process.logs();
        match ended {
            Some(_) if log.contains("address already in use") => Some(false),
            Some(127) => fail("start prometheus", "it is not installed: run .ci/test first"),
            Some(status) => fail("start prometheus", format_args!("it ended with {status}:\n{log}")),
            None => {
                let answer = http::plain(port.addr(), &Request::get("/-/ready")).await;
                answer.is_ok_and(|answer| answer.status == 200).then_some(true)
            }
        }
    });
    ready.await.then_some(process)
}

/// Most ports that a start tries.
const ATTEMPTS: u64 = 5;
