//! New clients at a steady rate, while gateways are replaced.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use testkit::client::{Endpoint, Refused, SocketIo};
use testkit::wait;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Running new clients. They end with this value.
pub(super) struct NewClients {
    enough: oneshot::Sender<()>,
    task: JoinSet<Tally>,
}

/// Result of all new clients.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) connected: usize,
    pub(super) slowest: Duration,
    /// Reasons of refused connections, with the time since the start.
    pub(super) refused: Vec<String>,
}

/// Endpoint and tokens of new clients.
pub(super) struct Entrance {
    pub(super) endpoint: Endpoint,
    /// Returns the token of a user.
    pub(super) token: Box<dyn Fn(&str) -> String + Send>,
}

impl Entrance {
    /// Opens the session of each user by a first connection, so that later ones need no worker: how fast workers are is not the subject.
    async fn open_sessions(&self) {
        for user in 0..USERS {
            let connect = async || self.connect(user).await.ok();
            let client = wait::until("a session to be opened", wait::deadline(), connect).await;
            client.close().await;
        }
    }

    fn connect(&self, user: usize) -> impl Future<Output = Result<SocketIo, Refused>> + Send + use<> {
        let endpoint = self.endpoint.with_source(address(user));
        let token = (self.token)(&name(user));
        async move { SocketIo::connect(&endpoint, &token).await }
    }
}

impl NewClients {
    /// Connects a client every [`EACH`], of one user and address after the other.
    pub(super) async fn start(entrance: Entrance) -> Self {
        entrance.open_sessions().await;
        let (enough, until) = oneshot::channel();
        let mut task = JoinSet::new();
        task.spawn(run(entrance, until));
        Self { enough, task }
    }

    /// Users and the addresses from which they connect.
    pub(super) fn addresses() -> impl Iterator<Item = (String, String)> {
        (0..USERS).map(|user| (name(user), address(user).to_string()))
    }

    /// Connects no more of them, and waits for those that are connecting.
    pub(super) async fn stop(mut self) -> Tally {
        drop(self.enough);
        self.task.join_next().await.unwrap().unwrap()
    }
}

async fn run(entrance: Entrance, mut until: oneshot::Receiver<()>) -> Tally {
    let began = Instant::now();
    let (mut ticks, mut connecting, mut tally) = (interval(EACH), JoinSet::new(), Tally::default());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0.. {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = &mut until => break,
        }
        let connect = entrance.connect(number % USERS);
        connecting.spawn(async move {
            let started = Instant::now();
            match connect.await {
                Ok(client) => {
                    let took = started.elapsed();
                    client.close().await;
                    Ok(took)
                }
                Err(refused) => Err(format!("after {:?}: {refused}", started - began)),
            }
        });
        // On a machine that is too slow for the rate.
        while connecting.len() >= CONNECTING
            && let Some(ended) = connecting.join_next().await
        {
            tally.count(ended.unwrap());
        }
    }
    while let Some(ended) = connecting.join_next().await {
        tally.count(ended.unwrap());
    }
    tally
}

fn name(user: usize) -> String {
    format!("NEW-{user:03}")
}

/// Address of a user's clients.
fn address(user: usize) -> IpAddr {
    Ipv4Addr::new(127, 0, 2, u8::try_from(user).unwrap_or_default() + 1).into()
}

impl Tally {
    fn count(&mut self, connected: Result<Duration, String>) {
        match connected {
            Ok(took) => {
                self.connected += 1;
                self.slowest = self.slowest.max(took);
            }
            Err(refused) => self.refused.push(refused),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            connected,
            slowest,
            refused,
        } = self;
        write!(
            f,
            "new clients: {connected} connected, the slowest within {slowest:?}; {} refused",
            refused.len()
        )
    }
}

/// 20 a second.
const EACH: Duration = Duration::from_millis(50);
/// Most that connect at once.
const CONNECTING: usize = 40;
const USERS: usize = 100;
