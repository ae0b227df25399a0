//! Fault drill: the dependencies of a cluster become slow and dead in turn, while a real Prometheus evaluates the chart's rules: the alert of
//! that dependency fires, no alert names another one, and it clears.
//!
//! `cargo test` runs it with Redis alone; `cargo xtask long drill` sets `POSTERN_DRILL_ALL`: every dependency, each also hung. Ranges and `for`
//! of the rules are shorter by [`stage::FASTER`]; `promtool test rules` tests the true ones. A program of its own, so that no other test
//! takes the processor meanwhile: a machine that is too busy makes every dependency slow.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod dashboard;
mod exercise;
mod load;
mod metric_names;
mod promql;
mod stage;

use std::time::Duration;

use testkit::chaos::Condition;

use self::exercise::Exercise;
use self::stage::{DEPENDENCIES, Stage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_of_a_dependency_fires_its_alert_alone_and_the_alert_clears() {
    let is_whole = is_whole();
    let dependencies: &[&str] = if is_whole { &DEPENDENCIES } else { &["redis"] };
    let faults: &[Condition] = if is_whole {
        &[SLOW, Condition::Dead, Condition::Hung]
    } else {
        &[SLOW, Condition::Dead]
    };
    let stage = Box::pin(Stage::start()).await;
    let mut findings = stage.refused_rules().await;
    println!("{}", exercise::HEADER);
    for &dependency in dependencies {
        for &fault in faults {
            let exercise = Exercise::run(&stage, dependency, fault).await;
            println!("{exercise}");
            findings.extend(exercise.findings());
        }
    }
    findings.extend(dashboard::empty_panels(&stage.prometheus).await);
    findings.extend(metric_names::differences(&stage.prometheus).await);
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[expect(clippy::disallowed_methods, reason = "a test is no node: it has no configuration")]
fn is_whole() -> bool {
    std::env::var_os("POSTERN_DRILL_ALL").is_some()
}

/// Far above what a round trip takes otherwise.
const SLOW: Condition = Condition::Slow(Duration::from_secs(1));
