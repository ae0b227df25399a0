//! fred, tamed: everything of it is in this module, and nothing of it leaves.
//!
//! What it does to a careless user has a test for each kind in `tests/it/traps`, and each file here stands against some of it:
//! [`connector`] sets every timeout and bound that has no default, [`keeper`] asks each second whether commands are answered and
//! replaces a fred client that does not come back by itself, [`subscriber`] keeps subscriptions, [`reader`] waits for jobs on
//! connections of its own.

pub(super) mod announcements;
mod answer;
mod arg;
mod check;
mod connector;
mod failure;
mod keeper;
mod link;
mod pulse;
mod reader;
mod script;
mod subscriber;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fred::interfaces::{KeysInterface, LuaInterface, PubsubInterface};
use fred::types::{Expiration, Key, Value};
use lifecycle::{Clock, Tasks};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

pub(super) use self::answer::Answer;
pub(super) use self::arg::Arg;
pub(super) use self::check::Needs;
pub use self::connector::ConnectError;
pub(super) use self::connector::{Connector, Use};
pub(super) use self::reader::{Read, Reader};
pub(super) use self::script::Script;
pub(super) use self::subscriber::{Listener, Opening, Subscriber};

use self::failure::Failure;
use self::keeper::Keeper;
use self::link::Link;
use self::pulse::Pulse;
use crate::BusError;
use crate::metrics::Metrics;

/// Commands to one Redis. Clones share the connection.
#[derive(Clone)]
pub(super) struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    connector: Connector,
    to_do: Use,
    link: Mutex<Link>,
    pulse: Mutex<Pulse>,
    /// Keeps the commands under way below the length of fred's queue: when that queue refuses a command, fred 10.1 counts it as
    /// waiting for ever, and from then on does not flush what it writes, as more seems to follow.
    room: Semaphore,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

impl Client {
    /// Connects, and keeps the connection alive until the tasks are drained.
    pub(super) async fn connect(
        connector: Connector,
        to_do: Use,
        clock: Arc<dyn Clock>,
        tasks: &Tasks,
        metrics: Metrics,
    ) -> Result<Self, ConnectError> {
        let link = connector.connect(to_do).await?;
        let pulse = keeper::first_beat(&link, &*clock).await;
        let pulse = pulse.map_err(|error| connector.unreachable(error))?;
        let shared = Arc::new(Shared {
            connector,
            to_do,
            link: Mutex::new(link),
            pulse: Mutex::new(pulse),
            room: Semaphore::new(ROOM),
            clock,
            metrics,
        });
        let (soft, keeper) = (tasks.soft(), Keeper::new(Arc::clone(&shared)));
        tasks.essential("redis keeper", async move {
            // Ends with the node.
            soft.run_until_cancelled(keeper.run()).await;
        });
        Ok(Self { shared })
    }

    /// Runs a script in one step on the server.
    pub(super) async fn run(
        &self,
        step: &'static str,
        script: &Script,
        keys: impl IntoIterator<Item = String>,
        args: impl IntoIterator<Item = Arg>,
    ) -> Result<Answer, BusError> {
        let keys: Vec<Key> = keys.into_iter().map(Key::from).collect();
        let args: Vec<Value> = args.into_iter().map(Value::from).collect();
        let value = self.ask(step, async |fred| {
            let known = fred.evalsha(script.hash(), keys.clone(), args.clone()).await;
            match known {
                Err(error) if error.details().starts_with("NOSCRIPT") => {
                    fred.eval(script.text().to_owned(), keys, args).await
                }
                other => other,
            }
        });
        Ok(Answer::new(step, value.await?))
    }

    /// Sets a string that ends after `ttl`.
    pub(super) async fn set(
        &self,
        step: &'static str,
        key: String,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<(), BusError> {
        let ttl = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX).max(1);
        let life = Some(Expiration::PX(ttl));
        self.ask(step, async |fred| {
            fred.set(key, Value::Bytes(Bytes::from(value)), life, None, false).await
        })
        .await
    }

    /// Reads strings; those that are missing are left out.
    pub(super) async fn get(&self, step: &'static str, keys: Vec<String>) -> Result<Answer, BusError> {
        let value = self.ask(step, async |fred| fred.mget(keys).await).await?;
        Ok(Answer::new(step, value))
    }

    /// Deletes keys.
    pub(super) async fn delete(&self, step: &'static str, keys: Vec<String>) -> Result<(), BusError> {
        self.ask(step, async |fred| fred.del::<Value, _>(keys).await)
            .await
            .map(drop)
    }

    /// Takes a string out.
    pub(super) async fn take(&self, step: &'static str, key: String) -> Result<Answer, BusError> {
        let value = self.ask(step, async |fred| fred.getdel(key).await).await?;
        Ok(Answer::new(step, value))
    }

    /// Whether the last beat was answered, and in time.
    pub(super) fn is_live(&self) -> bool {
        self.shared.pulse().is_live(Instant::now())
    }

    /// Refuses where our clock and the server's are too far apart.
    pub(super) fn check_clock(&self, step: &'static str) -> Result<(), BusError> {
        if self.shared.pulse().is_skewed() {
            return Err(Failure::Skewed.at(step));
        }
        Ok(())
    }

    /// The moment at which the server's clock shows `millis`; now for what is over.
    pub(super) fn instant_of(&self, millis: u64) -> Instant {
        self.shared.pulse().instant_of(millis, Instant::now())
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Says something on a channel, to prove that its subscriber hears.
    async fn announce(&self, channel: String, word: String) -> Result<(), BusError> {
        let told: Result<i64, BusError> = self
            .ask("announce on a channel", async |fred| fred.spublish(channel, word).await)
            .await;
        told.map(drop)
    }

    /// Does one thing with fred, in bounded time and number.
    async fn ask<T>(
        &self,
        step: &'static str,
        command: impl AsyncFnOnce(fred::clients::Client) -> Result<T, fred::error::Error>,
    ) -> Result<T, BusError> {
        let outcome = async {
            self.shared.check_up()?;
            let room = timeout(COMMAND_TIMEOUT, self.shared.room.acquire()).await;
            let _room = room.ok().and_then(Result::ok).ok_or(Failure::Busy)?;
            Ok(command(self.shared.fred()).await?)
        };
        outcome.await.map_err(|failure: Failure| {
            self.shared.metrics.command_failed(step);
            failure.at(step)
        })
    }
}

impl Shared {
    fn fred(&self) -> fred::clients::Client {
        self.link().client().clone()
    }

    /// Nothing is sent while the server does not answer.
    fn check_up(&self) -> Result<(), Failure> {
        let pulse = self.pulse();
        if pulse.is_up() {
            return Ok(());
        }
        Err(Failure::Down(pulse.refusal()))
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pulse(&self) -> MutexGuard<'_, Pulse> {
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(2);

/// How many commands may be under way at once. Those whose callers gave up stay in fred's queue until it is connected again; the
/// door closes with the first beat that is missed, so at most two such generations meet a queue of [`connector::QUEUE`].
const ROOM: usize = 4096;
