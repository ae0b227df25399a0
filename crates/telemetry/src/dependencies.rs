//! State of a node's dependencies as JSON.

use lifecycle::{Dependencies, DependencyStatus};
use serde_json::{Value, json};

/// Report of all dependencies: names, states, times and classes of errors, and nothing that an error quotes.
pub(crate) fn report(dependencies: &Dependencies) -> Value {
    let all: Vec<Value> = dependencies.statuses().iter().map(one).collect();
    json!({ "dependencies": all })
}

fn one(status: &DependencyStatus) -> Value {
    let time = |at| humantime::format_rfc3339_millis(at).to_string();
    let last_error = status
        .last_error
        .map(|error| json!({ "class": error.class, "at": time(error.at) }));
    json!({
        "name": status.name,
        "state": status.state.as_str(),
        "since": time(status.since),
        "lastError": last_error,
    })
}
