//! Report of a run, and the promises that it broke.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::tally::{ResidentTally, Tally};
use crate::results::LatencyLog;
use crate::run::Run;

/// Figures of a run.
#[derive(Debug, Default)]
pub(super) struct Report {
    residents: usize,
    absences: Vec<Duration>,
    /// Residents that are not connected at the end.
    away: usize,
    /// Number of failed attempts of residents, by reason.
    failed: BTreeMap<String, u64>,
    not_resumed: u64,
    published: u64,
    retries: u64,
    received: usize,
    lost: usize,
    repeated: u64,
    reordered: u64,
    new_clients: u64,
    slowest_new_client: Duration,
    refused: BTreeMap<String, u64>,
    busiest_second: usize,
}

impl Report {
    /// Report of a tally, with the last number that was published to each user, and the number of repeated requests.
    pub(super) fn new(tally: &Tally, published: &BTreeMap<String, u64>, retries: u64) -> Self {
        let residents = &tally.residents;
        let mut absences: Vec<Duration> = residents
            .iter()
            .flat_map(|resident| resident.absences.clone())
            .collect();
        let away: Vec<Duration> = residents
            .iter()
            .filter_map(|resident| Some(resident.away_since?.elapsed()))
            .collect();
        absences.extend(&away);
        absences.sort_unstable();
        let mut failed = BTreeMap::new();
        for reason in residents.iter().flat_map(|resident| &resident.failed) {
            *failed.entry(reason.clone()).or_default() += 1;
        }
        let lost = |resident: &ResidentTally| {
            let last = published.get(&resident.user).copied().unwrap_or_default();
            (1..=last).filter(|number| !resident.received.contains(number)).count()
        };
        Self {
            residents: residents.len(),
            absences,
            away: away.len(),
            failed,
            not_resumed: residents.iter().map(|resident| resident.not_resumed).sum(),
            published: published.values().sum(),
            retries,
            received: residents.iter().map(|resident| resident.received.len()).sum(),
            lost: residents.iter().map(lost).sum(),
            repeated: residents.iter().map(|resident| resident.repeated).sum(),
            reordered: residents.iter().map(|resident| resident.reordered).sum(),
            new_clients: tally.new_clients,
            slowest_new_client: tally.slowest_new_client,
            refused: tally.refused.clone(),
            busiest_second: busiest_second(&tally.reconnects),
        }
    }

    /// Sentences about broken promises.
    pub(super) fn broken_promises(&self, longest_absence: Duration) -> Vec<String> {
        let total = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
        let longest = self.absences.last().copied().unwrap_or_default();
        let counts = [
            (total(&self.refused), "new clients refused"),
            (total(&self.failed), "failed attempts of residents to reconnect"),
            (self.lost as u64, "alerts lost"),
            (self.repeated, "alerts received twice"),
            (self.reordered, "alerts out of order"),
            (self.not_resumed, "connections not resumed"),
        ];
        let mut broken: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if self.away > 0 {
            broken.push(format!("{} residents still away", self.away));
        }
        if longest > longest_absence {
            broken.push(format!("a resident away for {longest:?}"));
        }
        broken
    }

    /// Adds the counts and the absences to the results.
    pub(super) fn record(&self, run: &mut Run) {
        let refused = self.refused.values().sum();
        let failed = self.failed.values().sum();
        for (name, count) in [
            ("accepted", self.published),
            ("retries", self.retries),
            ("received", self.received as u64),
            ("lost", self.lost as u64),
            ("twice", self.repeated),
            ("out_of_sequence", self.reordered),
            ("absences", self.absences.len() as u64),
            ("away", self.away as u64),
            ("not_resumed", self.not_resumed),
            ("connects_failed", failed),
            ("new_clients", self.new_clients),
            ("new_clients_refused", refused),
            ("reconnects_in_busiest_second", self.busiest_second as u64),
        ] {
            run.count(name, count);
        }
        let mut absences = LatencyLog::new(run.started());
        for absence in &self.absences {
            absences.record(run.started(), run.started() + *absence);
        }
        run.latency("absence", &absences);
    }

    fn absence_at(&self, permille: usize) -> Duration {
        let index = self.absences.len().saturating_sub(1) * permille / 1_000;
        self.absences.get(index).copied().unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "residents: {}, {} absences, {} not resumed, {} still away; p50 {:?}, p99 {:?}, longest {:?}; {} reconnects in the \
             busiest second",
            self.residents,
            self.absences.len(),
            self.not_resumed,
            self.away,
            self.absence_at(500),
            self.absence_at(990),
            self.absence_at(1_000),
            self.busiest_second
        )?;
        for (reason, count) in &self.failed {
            writeln!(f, "  {count} attempts to reconnect failed: {reason}")?;
        }
        writeln!(
            f,
            "alerts: {} published, {} requests repeated; {} received, {} lost, {} twice, {} out of order",
            self.published, self.retries, self.received, self.lost, self.repeated, self.reordered
        )?;
        write!(
            f,
            "new clients: {} connected, the slowest within {:?}; {} refused",
            self.new_clients,
            self.slowest_new_client,
            self.refused.values().sum::<u64>()
        )?;
        for (reason, count) in &self.refused {
            write!(f, "\n  {count} refused: {reason}")?;
        }
        Ok(())
    }
}

/// Most of these moments in any second. They are sorted.
fn busiest_second(moments: &[Instant]) -> usize {
    let mut busiest = 0;
    let mut first = 0;
    for (last, at) in moments.iter().enumerate() {
        while moments
            .get(first)
            .is_some_and(|begin| *at - *begin >= Duration::from_secs(1))
        {
            first += 1;
        }
        busiest = busiest.max(last + 1 - first);
    }
    busiest
}

#[cfg(test)]
mod tests {
    use super::super::record::{Entry, Record};
    use super::*;

    fn run(records: &[Record]) -> Report {
        let mut tally = Tally::new(vec!["U".to_owned()]);
        for record in records {
            tally.take(now(0, record.clone()));
        }
        Report::new(&tally, &BTreeMap::from([("U".to_owned(), 3)]), 0)
    }

    fn now(client: usize, record: Record) -> Entry {
        let at = Instant::now();
        Entry { client, at, record }
    }

    fn broken(records: &[Record]) -> Vec<String> {
        run(records).broken_promises(Duration::from_secs(5))
    }

    const CONNECTED: Record = Record::Connected { recovered: false };
    const RESUMED: Record = Record::Connected { recovered: true };

    #[test]
    fn complete_run_with_a_resumed_connection_breaks_no_promise() {
        let lost = Record::Lost("closed with 1012".to_owned());
        let took = Record::NewClientConnected(Duration::from_millis(3));
        let (alert, started) = (Record::Alert, Record::NewClientStarted);
        let records = [CONNECTED, alert(1), lost, RESUMED, alert(2), started, took, alert(3)];
        let report = run(&records);
        assert_eq!(report.broken_promises(Duration::from_secs(5)), Vec::<String>::new());
        assert_eq!(
            (report.absences.len(), report.new_clients, report.busiest_second),
            (1, 1, 1)
        );
    }

    #[test]
    fn each_broken_promise_is_named() {
        let alert = Record::Alert;
        assert_eq!(broken(&[CONNECTED, alert(1), alert(3)]), ["1 alerts lost"]);
        assert_eq!(
            broken(&[CONNECTED, alert(1), alert(2), alert(2), alert(3)]),
            ["1 alerts received twice"]
        );
        assert_eq!(
            broken(&[CONNECTED, alert(2), alert(1), alert(3)]),
            ["1 alerts out of order"]
        );
        let all = [alert(1), alert(2), alert(3)];
        let after = |records: &[Record]| broken(&[&all[..], records].concat());
        let lost = Record::Lost("closed with 1006".to_owned());
        assert_eq!(after(&[lost.clone(), CONNECTED]), ["1 connections not resumed"]);
        assert_eq!(after(std::slice::from_ref(&lost)), ["1 residents still away"]);
        assert_eq!(
            after(&[lost, Record::Failed("refused".to_owned()), RESUMED]),
            ["1 failed attempts of residents to reconnect"]
        );
        assert_eq!(
            after(&[Record::NewClientStarted, Record::NewClientRefused("503".to_owned())]),
            ["1 new clients refused"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn long_absence_and_dense_reconnects_are_measured() {
        let mut tally = Tally::new(vec!["U".to_owned(); 4]);
        for client in 0..4 {
            tally.take(now(client, CONNECTED));
            tally.take(now(client, Record::Lost(String::new())));
        }
        for (client, pause) in [(0, 6_000), (1, 900), (2, 99), (3, 1)] {
            tokio::time::advance(Duration::from_millis(pause)).await;
            tally.take(now(client, RESUMED));
        }
        let report = Report::new(&tally, &BTreeMap::new(), 0);
        assert_eq!(report.busiest_second, 3);
        assert_eq!(
            report.broken_promises(Duration::from_secs(5)),
            ["a resident away for 7s"]
        );
    }
}
