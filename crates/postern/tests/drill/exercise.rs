//! Faults of one dependency after the other, and the alerts that fire meanwhile.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use testkit::chaos::Condition;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::stage::Stage;

/// Faults of one dependency, from the first until no alert names it any more.
pub(super) struct Exercise {
    dependency: &'static str,
    faults: Vec<Fault>,
    /// Time from the end of the last fault until no alert of the dependency fired; none if that took too long.
    cleared: Option<Duration>,
    /// Alerts that named other dependencies.
    foreign: BTreeSet<String>,
}

/// One fault, and the alerts that did not fire before it.
struct Fault {
    condition: Condition,
    /// Time until the first one fired; none if that took too long.
    fired: Option<Duration>,
    alerts: BTreeSet<String>,
}

impl Exercise {
    /// Puts the dependency into these conditions in turn, each for [`SHORTEST`] at least and until an alert that names it fires, then repairs
    /// it and waits until none fires.
    pub(super) async fn run(stage: &Stage, dependency: &'static str, conditions: &[Condition]) -> Self {
        let mut exercise = Self {
            dependency,
            faults: Vec::new(),
            cleared: None,
            foreign: BTreeSet::new(),
        };
        for condition in conditions {
            let before = exercise.firing(stage).await;
            stage.set_condition(dependency, *condition);
            let mut fault = Fault {
                condition: *condition,
                fired: None,
                alerts: BTreeSet::new(),
            };
            exercise
                .observe(stage, |firing, since| {
                    fault.alerts.extend(firing.difference(&before).cloned());
                    if fault.fired.is_none() && !fault.alerts.is_empty() {
                        fault.fired = Some(since);
                    }
                    fault.fired.is_some() && since >= SHORTEST
                })
                .await;
            exercise.faults.push(fault);
        }
        stage.set_condition(dependency, Condition::Healthy);
        exercise.cleared = exercise.observe(stage, |firing, _| firing.is_empty()).await;
        exercise
    }

    /// Looks at the alerts until `is_enough` of those of the dependency and of the time since the begin; returns that time.
    async fn observe(
        &mut self,
        stage: &Stage,
        mut is_enough: impl FnMut(&BTreeSet<String>, Duration) -> bool,
    ) -> Option<Duration> {
        let (began, mut ticks) = (Instant::now(), interval(LOOK));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while began.elapsed() < LONGEST {
            ticks.tick().await;
            let firing = self.firing(stage).await;
            let since = began.elapsed();
            if is_enough(&firing, since) {
                return Some(since);
            }
        }
        None
    }

    /// Firing alerts of the dependency. Those that name another one are recorded.
    async fn firing(&mut self, stage: &Stage) -> BTreeSet<String> {
        let alerts = stage.prometheus.alerts().await.into_iter();
        let mut firing = BTreeSet::new();
        for alert in alerts.filter(|alert| alert.is_firing) {
            match alert.labels.get("dependency") {
                Some(named) if named == self.dependency => {
                    firing.insert(alert.name);
                }
                Some(named) => {
                    self.foreign.insert(format!("{} ({named})", alert.name));
                }
                None => {}
            }
        }
        firing
    }

    /// Alerts that did not fire, did not clear, or named another dependency.
    pub(super) fn findings(&self) -> Vec<String> {
        let dependency = self.dependency;
        let mut findings = Vec::new();
        for fault in self.faults.iter().filter(|fault| fault.fired.is_none()) {
            findings.push(format!("{dependency} {:?}: no alert fired", fault.condition));
        }
        if self.cleared.is_none() {
            findings.push(format!("{dependency}: an alert did not clear"));
        }
        for alert in &self.foreign {
            findings.push(format!("{dependency}: {alert} fired"));
        }
        findings
    }
}

/// Rows of a table, under [`HEADER`].
impl fmt::Display for Exercise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |time: Option<Duration>| time.map_or("never".to_owned(), |time| format!("{} s", time.as_secs()));
        let mut rows = self.faults.iter().peekable();
        while let Some(Fault {
            condition,
            fired,
            alerts,
        }) = rows.next()
        {
            let condition = match condition {
                Condition::Healthy => "none".to_owned(),
                Condition::Slow(delay) => format!("slow by {} s", delay.as_secs()),
                Condition::Dead => "dead".to_owned(),
                Condition::Hung => "hung".to_owned(),
            };
            let alerts: Vec<&str> = alerts.iter().map(String::as_str).collect();
            let (dependency, alerts, fired) = (self.dependency, alerts.join(", "), seconds(*fired));
            write!(f, "| {dependency} | {condition} | {alerts} | {fired} |")?;
            match rows.peek() {
                Some(_) => writeln!(f, " - |")?,
                None => write!(f, " {} |", seconds(self.cleared))?,
            }
        }
        Ok(())
    }
}

/// Head of the table of all exercises.
pub(super) const HEADER: &str =
    "| dependency | fault | alert | fires after | clears after |\n| --- | --- | --- | --- | --- |";

/// Pause between looks at the alerts.
const LOOK: Duration = Duration::from_millis(250);
/// Shortest fault, so that the alerts of other dependencies have time to fire wrongly.
const SHORTEST: Duration = Duration::from_secs(20);
/// Longest wait for an alert to fire or to clear.
const LONGEST: Duration = Duration::from_secs(120);
