//! Events that many clients received, and checks on them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use testkit::client::Event;
use testkit::client::reconnecting::ClientEvent;
use testkit::wait;
use tokio::time::timeout;

/// The records of all clients.
#[derive(Default)]
pub(crate) struct Audience {
    listeners: Vec<Listener>,
}

struct Listener {
    user: String,
    record: Arc<Mutex<Vec<ClientEvent>>>,
}

/// Loss of a user's data in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Loss {
    Nothing,
    /// The epoch alone: events may come again, after a fresh start.
    Epoch,
    /// Writes: every client of the user is notified by a fresh start.
    Writes,
}

/// Findings over all records.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Number of resumes, and of fresh starts.
    pub(crate) recovered: usize,
    pub(crate) fresh_starts: usize,
    /// Number of events that came again after a fresh start, with the id by which a client drops them.
    pub(crate) repeats: usize,
    /// Number of events that came after a newer one, each also a violation.
    pub(crate) inversions: usize,
    /// Violations as sentences: a loss without notice, a repetition, a wrong sequence.
    pub(crate) violations: Vec<String>,
}

impl Audience {
    /// Adds a client of this user; returns the function that records its events.
    pub(crate) fn join(&mut self, user: &str) -> impl FnMut(ClientEvent) + Send + 'static {
        let record = Arc::<Mutex<Vec<ClientEvent>>>::default();
        self.listeners.push(Listener {
            user: user.to_owned(),
            record: Arc::clone(&record),
        });
        move |moment| record.lock().unwrap().push(moment)
    }

    /// Clients that are not connected now, with their last events.
    fn absent(&self) -> Vec<String> {
        self.each(|listener, record| {
            let last = record
                .iter()
                .rfind(|moment| !matches!(moment, ClientEvent::Received(_)));
            (!matches!(last, Some(ClientEvent::Connected { .. }))).then(|| format!("{}: {last:?}", listener.user))
        })
    }

    /// Clients that were disconnected for good.
    pub(crate) fn stopped(&self) -> Vec<String> {
        self.each(|listener, record| match record.last() {
            Some(ClientEvent::Stopped(why)) => Some(format!("{}: {why}", listener.user)),
            _ => None,
        })
    }

    /// Clients that have not received this number of their user's, with their last events.
    fn behind(&self, numbers: &BTreeMap<String, u64>) -> Vec<String> {
        self.each(|listener, record| {
            let last = numbers.get(&listener.user);
            let received = record.iter().rev().any(|moment| number(moment).as_ref() == last);
            (!received).then(|| format!("{}: {:?} of {last:?}", listener.user, record.last()))
        })
    }

    /// Waits until each client is connected.
    pub(crate) async fn all_connect(&self) {
        let connected = wait::until_true("all clients to be connected", 2 * LONG, async || {
            self.absent().is_empty()
        });
        let connected = timeout(LONG, connected).await;
        assert_eq!(self.absent(), Vec::<String>::new(), "after {connected:?}");
    }

    /// Clients of users with lost writes that have had no fresh start since they first connected.
    fn not_started_fresh(&self, loss_of: &impl Fn(&str) -> Loss) -> Vec<String> {
        self.each(|listener, record| {
            let fresh_starts = record.iter().filter(|moment| match moment {
                ClientEvent::Connected { recovered, .. } => !recovered,
                ClientEvent::Received(event) => event.name == "resync",
                ClientEvent::Disconnected(_) | ClientEvent::Stopped(_) => false,
            });
            (loss_of(&listener.user) == Loss::Writes && fresh_starts.count() < 2).then(|| listener.user.clone())
        })
    }

    /// Waits until each client of a user with lost writes was notified. That is no earlier than its session is confirmed, and it receives
    /// nothing from before.
    pub(crate) async fn all_start_fresh(&self, loss_of: &impl Fn(&str) -> Loss) {
        let started = wait::until_true("clients to start fresh", 2 * LONG, async || {
            self.not_started_fresh(loss_of).is_empty()
        });
        let started = timeout(LONG, started).await;
        assert_eq!(
            self.not_started_fresh(loss_of),
            Vec::<String>::new(),
            "after {started:?}"
        );
    }

    /// Waits until each client has received this number of its user's.
    pub(crate) async fn all_receive(&self, last: &BTreeMap<String, u64>) {
        let reached = wait::until_true("all clients to receive the last event", 2 * LONG, async || {
            self.behind(last).is_empty()
        });
        let reached = timeout(LONG, reached).await;
        assert_eq!(self.behind(last), Vec::<String>::new(), "after {reached:?}");
    }

    /// Clients that lack one of the numbers 1 to the last of their user's.
    pub(crate) fn incomplete(&self, last: &BTreeMap<String, u64>) -> Vec<String> {
        self.each(|listener, record| {
            let received: BTreeSet<u64> = record.iter().filter_map(number).collect();
            let all = 1..=last.get(&listener.user).copied().unwrap_or_default();
            let missing: Vec<u64> = all.filter(|number| !received.contains(number)).collect();
            (!missing.is_empty()).then(|| format!("{}: without {missing:?}", listener.user))
        })
    }

    /// Sentences about single clients, by index.
    fn each(&self, say: impl Fn(&Listener, &[ClientEvent]) -> Option<String>) -> Vec<String> {
        let listeners = self.listeners.iter().enumerate();
        let output = listeners.filter_map(|(index, listener)| {
            let output = say(listener, &listener.record.lock().unwrap())?;
            Some(format!("client {index} of {output}"))
        });
        output.collect()
    }

    /// Checks all records. An event from before a fresh start may come again after it only where
    /// Redis has lost data: then it is published again, in its sequence and under its id.
    pub(crate) fn findings(&self, loss_of: impl Fn(&str) -> Loss) -> Findings {
        let mut findings = Findings::default();
        let mut offsets = BTreeMap::new();
        for (index, listener) in self.listeners.iter().enumerate() {
            let record = listener.record.lock().unwrap();
            let loss = loss_of(&listener.user);
            let mut reader = Reader {
                who: format!("client {index} of {}", listener.user),
                may_repeat: loss != Loss::Nothing,
                ..Reader::default()
            };
            for moment in record.iter() {
                reader.read(moment, &mut findings);
                let ClientEvent::Received(event) = moment else { continue };
                if let Some(offset) = &event.offset {
                    let key = (listener.user.clone(), offset.clone());
                    let first = offsets.entry(key).or_insert_with(|| event.data.clone());
                    if *first != event.data {
                        let violation = format!("{}: {offset} names two events", reader.who);
                        findings.violations.push(violation);
                    }
                }
            }
            if loss == Loss::Writes && reader.fresh_start_count == 0 {
                findings.violations.push(format!("{} had no fresh start", reader.who));
            }
        }
        findings
    }
}

/// Reads one record.
#[derive(Default)]
struct Reader {
    who: String,
    /// True where events may come again after a fresh start.
    may_repeat: bool,
    joined: bool,
    /// True from a fresh start until the next event.
    fresh_start: bool,
    fresh_start_count: usize,
    /// Offset of the last event: epoch and seq.
    offset: Option<(String, u64)>,
    last: u64,
    /// Numbers since the last fresh start after which events may come again.
    seen: BTreeSet<u64>,
    /// Numbers before it.
    before: BTreeSet<u64>,
    /// Ids of all events.
    ids: HashSet<String>,
}

impl Reader {
    fn read(&mut self, moment: &ClientEvent, findings: &mut Findings) {
        match moment {
            ClientEvent::Connected { recovered: true, .. } => findings.recovered += 1,
            ClientEvent::Connected { recovered: false, .. } => {
                if self.joined {
                    self.start_fresh(findings);
                }
                (self.joined, self.fresh_start) = (true, true);
            }
            ClientEvent::Received(event) if event.name == "resync" => self.start_fresh(findings),
            ClientEvent::Received(event) => {
                if let Some(offset) = event.offset.as_deref().map(epoch_and_seq) {
                    self.advance(offset, findings);
                }
            }
            ClientEvent::Stopped(why) => findings.violations.push(format!("{} was sent away: {why}", self.who)),
            ClientEvent::Disconnected(_) => {}
        }
        if let (Some(number), ClientEvent::Received(event)) = (number(moment), moment) {
            self.receive(number, event, findings);
        }
    }

    fn start_fresh(&mut self, findings: &mut Findings) {
        findings.fresh_starts += 1;
        self.fresh_start_count += 1;
        self.fresh_start = true;
        if self.may_repeat {
            self.before.append(&mut self.seen);
            self.last = 0;
        }
    }

    /// Checks that events follow one another without a gap, in one epoch, except after a fresh start.
    fn advance(&mut self, offset: (String, u64), findings: &mut Findings) {
        if let Some((epoch, seq)) = &self.offset
            && !self.fresh_start
            && offset != (epoch.clone(), seq + 1)
        {
            let violation = format!(
                "{} received {offset:?} after {epoch} {seq} and had no fresh start",
                self.who
            );
            findings.violations.push(violation);
        }
        self.offset = Some(offset);
        self.fresh_start = false;
    }

    /// Checks that numbers rise and come once, and that an event which comes again after a fresh start has its earlier id.
    fn receive(&mut self, number: u64, event: &Event, findings: &mut Findings) {
        let Self { who, last, .. } = self;
        let id = event.event_id.clone();
        let is_known = !self.ids.insert(id.clone().unwrap_or_default());
        let is_repeat = self.before.contains(&number);
        if id.is_none() || id.as_deref() != event.data["alertId"].as_str() {
            findings.violations.push(format!("{who} received {number} as {id:?}"));
        }
        if !self.seen.insert(number) {
            findings.violations.push(format!("{who} received {number} twice"));
        } else if number < *last {
            findings.inversions += 1;
            findings
                .violations
                .push(format!("{who} received {number} after {last}"));
        } else if is_known {
            findings.repeats += 1;
        }
        if is_repeat && !is_known {
            findings
                .violations
                .push(format!("{who} received {number} again under another id"));
        }
        self.last = number.max(self.last);
    }
}

/// Epoch and seq of an offset.
fn epoch_and_seq(offset: &str) -> (String, u64) {
    let (epoch, seq) = offset.split_once('-').unwrap();
    (epoch.to_owned(), seq.parse().unwrap())
}

/// The number of an alert of the test.
fn number(moment: &ClientEvent) -> Option<u64> {
    let ClientEvent::Received(Event { name, data, .. }) = moment else {
        return None;
    };
    (name == "security:alert").then(|| data["message"].as_str()?.parse().ok())?
}

/// Time in which every backlog after a series of faults is processed.
const LONG: Duration = Duration::from_secs(120);
