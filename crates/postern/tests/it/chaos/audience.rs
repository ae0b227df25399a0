//! What 200 clients heard, and what it proves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use testkit::client::Event;
use testkit::client::reconnecting::ClientEvent;

/// The records of all clients.
#[derive(Default)]
pub(crate) struct Audience {
    listeners: Vec<Listener>,
}

struct Listener {
    user: String,
    record: Arc<Mutex<Vec<ClientEvent>>>,
}

/// What all records add up to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// How often clients came back to their place, and how often they were told that they could not.
    pub(crate) recovered: usize,
    pub(crate) told: usize,
    /// Sentences on what is wrong: a loss without notice, a repetition, a disorder.
    pub(crate) wrongs: Vec<String>,
}

impl Audience {
    /// A client of this user; gives what writes its record.
    pub(crate) fn join(&mut self, user: &str) -> impl FnMut(ClientEvent) + Send + 'static {
        let record = Arc::<Mutex<Vec<ClientEvent>>>::default();
        self.listeners.push(Listener {
            user: user.to_owned(),
            record: Arc::clone(&record),
        });
        move |moment| record.lock().unwrap().push(moment)
    }

    /// Who is not connected now, and what happened to them last.
    pub(crate) fn absent(&self) -> Vec<String> {
        self.each(|listener, record| {
            let last = record
                .iter()
                .rfind(|moment| !matches!(moment, ClientEvent::Received(_)));
            (!matches!(last, Some(ClientEvent::Connected { .. }))).then(|| format!("{}: {last:?}", listener.user))
        })
    }

    /// Who was told to stay away.
    pub(crate) fn dismissed(&self) -> Vec<String> {
        self.each(|listener, record| match record.last() {
            Some(ClientEvent::Stopped(why)) => Some(format!("{}: {why}", listener.user)),
            _ => None,
        })
    }

    /// Who has not heard this number of their user's, and what they heard last.
    pub(crate) fn behind(&self, numbers: &BTreeMap<String, u64>) -> Vec<String> {
        self.each(|listener, record| {
            let last = numbers.get(&listener.user);
            let heard = record.iter().rev().any(|moment| number(moment).as_ref() == last);
            (!heard).then(|| format!("{}: {:?} of {last:?}", listener.user, record.last()))
        })
    }

    /// What is to be said of each client, by its index.
    fn each(&self, say: impl Fn(&Listener, &[ClientEvent]) -> Option<String>) -> Vec<String> {
        let listeners = self.listeners.iter().enumerate();
        let said = listeners.filter_map(|(index, listener)| {
            let said = say(listener, &listener.record.lock().unwrap())?;
            Some(format!("client {index} of {said}"))
        });
        said.collect()
    }

    /// Reads all records. What a client heard before it was told that it could not be recovered may come again after it only where
    /// Redis has lost something: then it is published again.
    pub(crate) fn verdict(&self, redis_lost_something: bool) -> Verdict {
        let mut verdict = Verdict::default();
        let mut places = BTreeMap::new();
        for (index, listener) in self.listeners.iter().enumerate() {
            let record = listener.record.lock().unwrap();
            let mut reader = Reader {
                who: format!("client {index} of {}", listener.user),
                redis_lost_something,
                ..Reader::default()
            };
            for moment in record.iter() {
                reader.read(moment, &mut verdict);
                let ClientEvent::Received(event) = moment else { continue };
                if let Some(offset) = &event.offset {
                    let place = (listener.user.clone(), offset.clone());
                    let first = places.entry(place).or_insert_with(|| event.data.clone());
                    if *first != event.data {
                        let wrong = format!("{}: {offset} names two events", reader.who);
                        verdict.wrongs.push(wrong);
                    }
                }
            }
            if redis_lost_something && reader.times_told == 0 {
                verdict.wrongs.push(format!("{} was not told", reader.who));
            }
        }
        verdict
    }
}

/// Reads one record.
#[derive(Default)]
struct Reader {
    who: String,
    redis_lost_something: bool,
    joined: bool,
    /// It was told that it may have missed something, and has heard nothing since.
    told: bool,
    times_told: usize,
    /// The place of what it heard last: epoch and seq.
    place: Option<(String, u64)>,
    last: u64,
    seen: BTreeSet<u64>,
}

impl Reader {
    fn read(&mut self, moment: &ClientEvent, verdict: &mut Verdict) {
        match moment {
            ClientEvent::Connected { recovered: true, .. } => verdict.recovered += 1,
            ClientEvent::Connected { recovered: false, .. } => {
                if self.joined {
                    self.is_told(verdict);
                }
                (self.joined, self.told) = (true, true);
            }
            ClientEvent::Received(event) if event.name == "resync" => self.is_told(verdict),
            ClientEvent::Received(event) => {
                if let Some(place) = event.offset.as_deref().map(place) {
                    self.advance(place, verdict);
                }
            }
            ClientEvent::Stopped(why) => verdict.wrongs.push(format!("{} was sent away: {why}", self.who)),
            ClientEvent::Disconnected(_) => {}
        }
        if let Some(number) = number(moment) {
            self.hear(number, verdict);
        }
    }

    fn is_told(&mut self, verdict: &mut Verdict) {
        verdict.told += 1;
        self.times_told += 1;
        self.told = true;
        if self.redis_lost_something {
            self.seen.clear();
            self.last = 0;
        }
    }

    /// Events follow one another without a hole, in one epoch, unless it was told.
    fn advance(&mut self, place: (String, u64), verdict: &mut Verdict) {
        if let Some((epoch, seq)) = &self.place
            && !self.told
            && place != (epoch.clone(), seq + 1)
        {
            let wrong = format!("{} heard {place:?} after {epoch} {seq} and was not told", self.who);
            verdict.wrongs.push(wrong);
        }
        self.place = Some(place);
        self.told = false;
    }

    /// Numbers rise and come once; where Redis has lost something, what is published again comes behind what is new.
    fn hear(&mut self, number: u64, verdict: &mut Verdict) {
        let Self { who, last, .. } = self;
        if !self.seen.insert(number) {
            verdict.wrongs.push(format!("{who} heard {number} twice"));
        } else if number < *last && !self.redis_lost_something {
            verdict.wrongs.push(format!("{who} heard {number} after {last}"));
        }
        self.last = number.max(*last);
    }
}

/// Epoch and seq of an offset.
fn place(offset: &str) -> (String, u64) {
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
