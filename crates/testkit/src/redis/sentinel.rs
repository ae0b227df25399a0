//! Primary with replicas, and three sentinels that fail over between them.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::join_all;

use super::resp::{self, CommandError};
use super::server::{Plan, Server};
use super::{Redis, text};
use crate::account::Account;
use crate::fail::{OrFail as _, fail};
use crate::scratch::Scratch;
use crate::wait;

/// Servers under three real sentinels, of which two agree before they act. All end with this value.
///
/// A primary that is silent for two seconds is replaced by a replica. A primary that returns accepts writes for the first four
/// seconds, until the sentinels make it a replica; in every other deployment of Sentinel for eight.
#[derive(Debug)]
pub struct RedisSentinel {
    servers: Vec<Redis>,
    sentinels: Vec<Server>,
}

impl RedisSentinel {
    /// Name of the primary that the sentinels watch.
    pub const MASTER: &'static str = "postern-master";

    /// Starts a primary with two replicas that are in sync, and sentinels that know all of them and each other.
    pub async fn start() -> Self {
        let scratch = Arc::new(Scratch::owned("redis-sentinel", Account::unprivileged()));
        let primary = Redis::start_in(&scratch, "server-0", &SERVER).await;
        let port = primary.port().to_string();
        let replicas = (1..=REPLICAS).map(async |number| {
            let replica = SERVER.iter().copied().chain(["--replicaof", "127.0.0.1", &port]);
            Redis::start_in(&scratch, &format!("server-{number}"), &replica.collect::<Vec<_>>()).await
        });
        let mut servers = vec![primary];
        servers.extend(join_all(replicas).await);
        let mut this = Self {
            servers,
            sentinels: Vec::new(),
        };
        // A sentinel asks a primary for its replicas at once, and then every ten seconds.
        wait::until_true("the replicas to follow", wait::deadline(), async || {
            this.is_in_sync(0).await
        })
        .await;
        let sentinels = (0..SENTINELS).map(|number| start_sentinel(&scratch, number, &port));
        this.sentinels = join_all(sentinels).await;
        this.until_in_sync().await;
        this
    }

    /// `redis-sentinel://127.0.0.1:<port>,127.0.0.1:<port>,127.0.0.1:<port>/0?master=<name>`.
    pub fn url(&self) -> String {
        let sentinels: Vec<String> = self.sentinels().iter().map(ToString::to_string).collect();
        format!("redis-sentinel://{}/0?master={}", sentinels.join(","), Self::MASTER)
    }

    /// Addresses of the sentinels.
    pub fn sentinels(&self) -> Vec<SocketAddr> {
        self.sentinels.iter().map(Server::addr).collect()
    }

    /// Runs a command on a sentinel as [`Redis::command`], such as `ACL SETUSER`.
    pub async fn sentinel_command(&self, index: usize, arguments: &[&str]) -> String {
        text(&resp::command(self.sentinel(index).addr(), arguments).await)
    }

    /// Sends SIGKILL to a sentinel.
    pub async fn kill_sentinel(&self, index: usize) {
        self.sentinel(index).kill().await;
    }

    /// Starts a sentinel that was killed again, with what it knew.
    pub async fn restart_sentinel(&mut self, index: usize) {
        let sentinel = self.sentinels.get_mut(index).or_fail("find a sentinel");
        sentinel.restart().await;
        shorten_periods(sentinel).await;
    }

    /// Server by its index of start: 0 was the first primary. A restarted one is empty, and is a primary until the sentinels
    /// make it a replica.
    pub fn server(&self, index: usize) -> &Redis {
        self.servers.get(index).or_fail("find a Redis server")
    }

    /// [`RedisSentinel::server`] to pause, kill or restart.
    pub fn server_mut(&mut self, index: usize) -> &mut Redis {
        self.servers.get_mut(index).or_fail("find a Redis server")
    }

    /// All servers by their indexes of start.
    pub fn servers(&self) -> impl Iterator<Item = &Redis> {
        self.servers.iter()
    }

    /// Index of the primary, as the first running sentinel names it.
    pub async fn primary(&self) -> usize {
        for sentinel in &self.sentinels {
            if let Some(index) = self.named_by(sentinel).await {
                return index;
            }
        }
        fail("find the primary", "no sentinel responds")
    }

    /// Has the sentinels make a replica the primary, as an operator does, and waits until all running ones name it; returns its
    /// index. The previous primary runs on.
    pub async fn failover(&self) -> usize {
        let previous = self.primary().await;
        let sentinel = self.sentinel(0).addr();
        wait::until("the sentinels to begin a failover", wait::deadline(), async || {
            match resp::try_command(sentinel, &["SENTINEL", "FAILOVER", Self::MASTER]).await {
                Ok(_) => Some(()),
                // One is in progress, or no replica has reported itself lately.
                Err(CommandError::Refused(reply))
                    if reply.starts_with("INPROG") || reply.starts_with("NOGOODSLAVE") =>
                {
                    None
                }
                Err(error) => fail("fail over", error),
            }
        })
        .await;
        self.until_primary_is_not(previous).await
    }

    /// Waits until all running sentinels name another primary than this one, which accepts writes; returns its index.
    pub async fn until_primary_is_not(&self, previous: usize) -> usize {
        wait::until("another primary", 2 * wait::deadline(), async || {
            let named = join_all(self.sentinels.iter().map(|sentinel| self.named_by(sentinel))).await;
            let mut named = named.into_iter().flatten();
            let primary = named.next().filter(|primary| *primary != previous)?;
            (named.all(|other| other == primary) && self.role(primary).await? == "master").then_some(primary)
        })
        .await
    }

    /// Waits until all servers are running and in sync with the primary, and each sentinel knows all of them.
    pub async fn until_in_sync(&self) {
        wait::until_true("replicas and sentinels to agree", 2 * wait::deadline(), async || {
            let primary = self.primary().await;
            let agreed = join_all(self.sentinels.iter().map(Self::is_complete));
            let (synced, agreed) = tokio::join!(self.is_in_sync(primary), agreed);
            synced && agreed.into_iter().all(|agrees| agrees)
        })
        .await;
    }

    /// Reports whether all servers are running and have the data of this primary.
    async fn is_in_sync(&self, primary: usize) -> bool {
        let port = format!("master_port:{}\r", self.server(primary).port());
        let synced = self.servers.iter().enumerate().map(async |(index, server)| {
            let info = resp::try_command(server.addr(), &["INFO", "replication"]).await;
            let info = info.map(|leaves| text(&leaves)).unwrap_or_default();
            match index == primary {
                true => info.contains("role:master"),
                false => info.contains(&port) && info.contains("master_link_status:up"),
            }
        });
        join_all(synced).await.into_iter().all(|synced| synced)
    }

    /// Reports whether a sentinel sees the primary, the replicas and the other sentinels, and no fault. One that does not run
    /// counts as well.
    async fn is_complete(sentinel: &Server) -> bool {
        let Ok(master) = resp::try_command(sentinel.addr(), &["SENTINEL", "MASTER", Self::MASTER]).await else {
            return true;
        };
        let replicas = resp::try_command(sentinel.addr(), &["SENTINEL", "REPLICAS", Self::MASTER]).await;
        let replicas = replicas.map(|leaves| pairs(&leaves)).unwrap_or_default();
        let flags = |flags: &str| replicas.iter().filter(|pair| *pair == &field("flags", flags)).count();
        let linked = replicas
            .iter()
            .filter(|pair| *pair == &field("master-link-status", "ok"))
            .count();
        let master = pairs(&master);
        master.contains(&field("flags", "master"))
            && master.contains(&field("num-other-sentinels", &(SENTINELS - 1).to_string()))
            && flags("slave") == REPLICAS
            && linked == REPLICAS
    }

    /// Index of the primary that a sentinel names; `None` when it does not run.
    async fn named_by(&self, sentinel: &Server) -> Option<usize> {
        let question = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self::MASTER];
        let address = resp::try_command(sentinel.addr(), &question).await.ok()?;
        let port: u16 = String::from_utf8_lossy(address.get(1)?).parse().ok()?;
        self.servers.iter().position(|server| server.port() == port)
    }

    /// Role that a server reports; `None` when it does not respond.
    async fn role(&self, index: usize) -> Option<String> {
        let role = resp::try_command(self.server(index).addr(), &["ROLE"]).await.ok()?;
        Some(String::from_utf8_lossy(role.first()?).into_owned())
    }

    fn sentinel(&self, index: usize) -> &Server {
        self.sentinels.get(index).or_fail("find a sentinel")
    }
}

/// Starts a sentinel that knows the primary by its port.
async fn start_sentinel(scratch: &Arc<Scratch>, number: usize, primary: &str) -> Server {
    let master = RedisSentinel::MASTER;
    let sentinel = Server::start(scratch, |port| {
        let port = port.number();
        let config = format!(
            "port {port}\nbind 127.0.0.1\ndir .\nsentinel monitor {master} 127.0.0.1 {primary} 2\n\
             sentinel down-after-milliseconds {master} 2000\nsentinel failover-timeout {master} 3000\n"
        );
        let file = scratch.write(&format!("sentinel-{port}.conf"), config);
        if let Some(account) = Account::unprivileged() {
            account.own(&file);
        }
        Plan::sentinel(&format!("sentinel-{number}"), file)
    })
    .await;
    shorten_periods(&sentinel).await;
    sentinel
}

/// Has a sentinel read the state of servers every 0.5 s instead of 10 s, and announce itself every second instead of 2 s: a failover is
/// over after 5 s instead of 20 s.
async fn shorten_periods(sentinel: &Server) {
    let periods = ["SENTINEL", "DEBUG", "info-period", "500", "publish-period", "1000"];
    resp::command(sentinel.addr(), &periods).await;
}

/// Fields of a reply: pairs of a name and a value, one after the other.
fn pairs(leaves: &[Vec<u8>]) -> Vec<(String, String)> {
    let text = |leaf: &[u8]| String::from_utf8_lossy(leaf).into_owned();
    let pairs = leaves.chunks_exact(2);
    pairs
        .filter_map(|pair| Some((text(pair.first()?), text(pair.get(1)?))))
        .collect()
}

fn field(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Arguments of each server: a primary sends a copy at once, instead of waiting five seconds for further replicas.
const SERVER: [&str; 2] = ["--repl-diskless-sync-delay", "0"];

const REPLICAS: usize = 2;
const SENTINELS: usize = 3;
