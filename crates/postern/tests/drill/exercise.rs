//! Fault of a dependency, and the alerts that fire meanwhile.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use testkit::chaos::Condition;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::stage::Stage;

/// Fault of a dependency, from its begin until no alert names the dependency any more.
pub(super) struct Exercise {
    dependency: &'static str,
    fault: Condition,
    /// Alerts of the dependency that fired.
    alerts: BTreeSet<String>,
    /// Time until the first one fired; none if that took too long.
    fired: Option<Duration>,
    /// Time from the end of the fault until the last one ended; none if that took too long.
    cleared: Option<Duration>,
    /// Alerts that named other dependencies.
    foreign: BTreeSet<String>,
    /// Alerts that named none, as those of error budgets and backlogs.
    general: BTreeSet<String>,
}

impl Exercise {
    /// Puts the dependency into this condition, for [`SHORTEST`] at least and until an alert that names it fires, then repairs it and waits
    /// until none has fired for [`QUIET`].
    pub(super) async fn run(stage: &Stage, dependency: &'static str, fault: Condition) -> Self {
        let mut exercise = Self {
            dependency,
            fault,
            alerts: BTreeSet::new(),
            fired: None,
            cleared: None,
            foreign: BTreeSet::new(),
            general: BTreeSet::new(),
        };
        stage.set_condition(dependency, fault);
        let (mut alerts, mut fired) = (BTreeSet::new(), None);
        let fires = |firing: &BTreeSet<String>, since: Duration| {
            alerts.extend(firing.iter().cloned());
            fired = fired.or((!alerts.is_empty()).then_some(since));
            fired.is_some() && since >= SHORTEST
        };
        exercise.observe(stage, fires).await;
        (exercise.alerts, exercise.fired) = (alerts, fired);
        stage.set_condition(dependency, Condition::Healthy);
        let mut last_firing = Duration::ZERO;
        let is_quiet = |firing: &BTreeSet<String>, since: Duration| {
            if !firing.is_empty() {
                last_firing = since;
            }
            since >= last_firing + QUIET
        };
        let quiet = exercise.observe(stage, is_quiet).await;
        exercise.cleared = quiet.map(|_| last_firing);
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
                Some(named) if named == self.dependency => firing.insert(alert.name),
                Some(named) => self.foreign.insert(format!("{} ({named})", alert.name)),
                None => self.general.insert(alert.name),
            };
        }
        firing
    }

    /// Alerts that did not fire, did not clear, or named another dependency.
    pub(super) fn findings(&self) -> Vec<String> {
        let during = format!("{} {:?}", self.dependency, self.fault);
        let mut findings = Vec::new();
        if self.fired.is_none() {
            findings.push(format!("{during}: no alert fired"));
        }
        if self.cleared.is_none() {
            findings.push(format!("{during}: an alert did not clear"));
        }
        let foreign = self.foreign.iter();
        findings.extend(foreign.map(|alert| format!("{during}: {alert} fired")));
        findings
    }
}

/// Row of a table, under [`HEADER`].
impl fmt::Display for Exercise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = match self.fault {
            Condition::Healthy => "none".to_owned(),
            Condition::Slow(delay) => format!("slow by {} s", delay.as_secs()),
            Condition::Dead => "dead".to_owned(),
            Condition::Hung => "hung".to_owned(),
        };
        let list = |alerts: &BTreeSet<String>| alerts.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let seconds = |time: Option<Duration>| time.map_or("never".to_owned(), |time| format!("{} s", time.as_secs()));
        let (fired, cleared) = (seconds(self.fired), seconds(self.cleared));
        let (dependency, alerts, general) = (self.dependency, list(&self.alerts), list(&self.general));
        write!(
            f,
            "| {dependency} | {fault} | {alerts} | {fired} | {cleared} | {general} |"
        )
    }
}

/// Head of the table of all exercises.
pub(super) const HEADER: &str = "| dependency | fault | its alerts | fire after | clear after | other alerts |\n\
                                 | --- | --- | --- | --- | --- | --- |";

/// Pause between looks at the alerts.
const LOOK: Duration = Duration::from_millis(250);
/// Shortest fault, so that the alerts of other dependencies have time to fire wrongly.
const SHORTEST: Duration = Duration::from_secs(20);
/// Time without an alert of the dependency after which it has cleared: after an outage the shares of failed and slow calls over a short and
/// over a long range do not fall in step, and the alert may fire once more.
const QUIET: Duration = Duration::from_secs(15);
/// Longest wait for an alert to fire or to clear.
const LONGEST: Duration = Duration::from_secs(120);
