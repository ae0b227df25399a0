//! Report of a node about one of its dependencies.

use std::net::SocketAddr;

use serde_json::Value;
use testkit::client::http::{self, Request, Response};

/// Report by `/healthz/dependencies` and the gauge.
#[derive(Debug)]
pub(crate) struct Dependency {
    /// State; empty while the node does not list the dependency.
    pub(crate) state: String,
    /// Class of the last error; empty if there was none.
    pub(crate) class: String,
    /// Value of `postern_dependency_up`.
    pub(crate) up: String,
}

impl Dependency {
    /// Report of the node with this health listener.
    pub(crate) async fn of(node: SocketAddr, name: &str) -> Self {
        let report = get(node, "/healthz/dependencies").await;
        assert_eq!(report.status, 200, "it is no probe");
        let report = report.json();
        let listed = report["dependencies"].as_array().unwrap().iter();
        let found = listed.clone().find(|dependency| dependency["name"] == name);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metrics = get(node, "/metrics").await.text();
        let gauge = format!("postern_dependency_up{{dependency=\"{name}\"}} ");
        let up = metrics.lines().find_map(|line| line.strip_prefix(&gauge));
        Self {
            state: found.map(|found| text(&found["state"])).unwrap_or_default(),
            class: found
                .map(|found| text(&found["lastError"]["class"]))
                .unwrap_or_default(),
            up: up.unwrap_or_default().to_owned(),
        }
    }
}

/// Response of a node's health listener.
pub(crate) async fn get(node: SocketAddr, path: &str) -> Response {
    http::plain(node, &Request::get(path)).await.unwrap()
}
