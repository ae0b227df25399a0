//! Clients that connect for the first time, at a steady rate, while gateways are replaced.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use testkit::client::{Endpoint, SocketIo};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

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
    /// Users and the addresses from which they connected.
    pub(super) addresses: Vec<(String, String)>,
}

/// Endpoint and tokens of new clients.
pub(super) struct Entrance {
    pub(super) endpoint: Endpoint,
    /// Returns the token of a user.
    pub(super) token: Box<dyn Fn(&str) -> String + Send>,
}

impl NewClients {
    /// Connects a new user every [`EACH`], from one address after the other.
    pub(super) fn start(entrance: Entrance) -> Self {
        let (enough, until) = oneshot::channel();
        let mut task = JoinSet::new();
        task.spawn(run(entrance, until));
        Self { enough, task }
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
    for number in 0.. {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = &mut until => break,
        }
        let (user, address) = (format!("NEW-{number:05}"), address(number));
        let endpoint = entrance.endpoint.with_source(address);
        let token = (entrance.token)(&user);
        tally.addresses.push((user, address.to_string()));
        connecting.spawn(async move {
            let started = Instant::now();
            let connected = SocketIo::connect(&endpoint, &token).await;
            let took = started.elapsed();
            match connected {
                Ok(client) => {
                    client.close().await;
                    Ok(took)
                }
                Err(refused) => Err(format!("after {:?}: {refused}", started - began)),
            }
        });
    }
    while let Some(ended) = connecting.join_next().await {
        match ended.unwrap() {
            Ok(took) => {
                tally.connected += 1;
                tally.slowest = tally.slowest.max(took);
            }
            Err(refused) => tally.refused.push(refused),
        }
    }
    tally
}

/// Address of a new client: one of 250.
fn address(number: u32) -> IpAddr {
    let host = u8::try_from(number % 250).unwrap_or_default() + 1;
    Ipv4Addr::new(127, 0, 2, host).into()
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            connected,
            slowest,
            refused,
            ..
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
