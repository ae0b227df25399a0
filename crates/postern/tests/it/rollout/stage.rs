//! Three gateways behind HAProxy, with 300 residents and publishers of numbered alerts.
#![expect(clippy::print_stdout, reason = "the figures are for whoever runs these tests")]

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use testkit::chaos::SeededRng;
use testkit::client::Endpoint;
use testkit::client::reconnecting::{ClientLibrary, ReconnectingClient};
use testkit::cluster::Cluster;
use testkit::haproxy::{HaProxy, Listen, Server};
use testkit::{Redis, wait};
use tokio::time::Instant;

use super::connection_log::{Absence, ConnectionLog};
use super::new_clients::Entrance;
use super::stalls::Stalls;
use crate::audience::{Audience, Findings, Loss};
use crate::audit_events::audit_events;
use crate::numbered_alerts::NumberedAlerts;
use crate::stage::POSTERN;

/// Cluster behind HAProxy. Its clients and publishers end with it.
pub(super) struct Stage {
    rng: SeededRng,
    redis: Redis,
    cluster: Cluster,
    haproxy: HaProxy,
    audience: Audience,
    log: ConnectionLog,
    alerts: NumberedAlerts,
    /// Time from which all residents were connected.
    since: Instant,
    stalls: Stalls,
    _residents: Vec<ReconnectingClient>,
}

/// Treatment of the open connections of a gateway whose health checks fail.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sessions {
    Keep,
    EndWhenDown,
}

/// Figures of the replacement of one gateway.
pub(super) struct Round {
    gateway: usize,
    /// Time from SIGTERM until HAProxy had taken it out.
    noticed: Duration,
    /// Number of residents that were connected to it.
    pub(super) sockets: usize,
    pub(super) longest_absence: Duration,
    /// Most reconnects, or closes if they were more, in any second.
    pub(super) busiest_second: usize,
    pub(super) failed_attempts: Vec<String>,
    /// Longest stall of the machine.
    pub(super) stall: Duration,
}

impl Stage {
    pub(super) async fn start(sessions: Sessions) -> Self {
        let mut rng = SeededRng::new(20_261_129);
        let redis = Redis::start().await;
        let cluster = Cluster::builder(POSTERN)
            .redis(&redis)
            .gateways(GATEWAYS)
            .gateway_env("POSTERN_DRAIN_DELAY", humane(DELAY))
            .gateway_env("POSTERN_DRAIN_WINDOW", humane(WINDOW))
            .gateway_env("POSTERN_PROXY_PROTOCOL", "required")
            .gateway_env("POSTERN_TRUSTED_PROXIES", "127.0.0.1/32")
            .start()
            .await;
        let haproxy = balance(&cluster, sessions).await;
        let internal = haproxy.addr(INTERNAL);
        let pause = Duration::from_millis(1_500)..Duration::from_millis(3_000);
        let mut alerts = NumberedAlerts::new(cluster.internal_token(), Arc::new(move |_| Some(internal)), pause);
        let (mut audience, log) = (Audience::default(), ConnectionLog::default());
        let endpoint = cluster.endpoint(0).at(haproxy.addr(PUBLIC));
        let residents = (0..RESIDENTS).map(|index| {
            let user = user(index % USERS);
            let endpoint = endpoint.with_source(address(index % USERS));
            let (mut record, log) = (audience.join(&user), log.clone());
            ReconnectingClient::start(
                ClientLibrary::ALL[index / USERS % ClientLibrary::ALL.len()],
                cluster.token(&user),
                Arc::new(move |_| Some(endpoint.clone())),
                rng.fork(),
                move |event| {
                    log.record(index, &event);
                    record(event);
                },
            )
        });
        let residents = residents.collect();
        audience.all_connect().await;
        let since = Instant::now();
        for index in 0..USERS {
            alerts.publish_to(user(index), rng.fork());
        }
        Self {
            rng,
            redis,
            cluster,
            haproxy,
            audience,
            log,
            alerts,
            since,
            stalls: Stalls::start(),
            _residents: residents,
        }
    }

    /// Entrance of new clients. Their tokens are none of the secrets that are searched for at the end: they are too many.
    pub(super) fn new_clients(&self) -> Entrance {
        let signer = self.cluster.signer().clone();
        Entrance {
            endpoint: Endpoint::new(self.haproxy.addr(PUBLIC), self.cluster.authority().client()),
            token: Box::new(move |user| signer.token(user)),
        }
    }

    /// Sends SIGTERM to a gateway, waits for its end, starts a new process on its addresses, and waits until HAProxy sends it
    /// connections and all residents are connected.
    pub(super) async fn replace(&mut self, gateway: usize) -> Round {
        self.stalls.take();
        let began = Instant::now();
        self.cluster.gateway(gateway).terminate();
        self.haproxy.until_up(PUBLIC, gateway, false).await;
        let noticed = began.elapsed();
        let status = self.cluster.gateway(gateway).wait(wait::deadline()).await;
        assert_eq!(status, 0, "a drained gateway ends well");
        self.cluster.replace_gateway(gateway).await;
        self.haproxy.until_up(PUBLIC, gateway, true).await;
        self.haproxy.until_up(INTERNAL, gateway, true).await;
        self.audience.all_connect().await;
        self.publish_another().await;
        let absences = self.log.absences(began);
        Round {
            gateway,
            noticed,
            sockets: absences.len(),
            longest_absence: absences.iter().map(Absence::length).max().unwrap_or_default(),
            busiest_second: busiest_second(absences.iter().map(|absence| absence.from))
                .max(busiest_second(absences.iter().filter_map(|absence| absence.until))),
            failed_attempts: absences
                .into_iter()
                .flat_map(|absence| absence.failed_attempts)
                .collect(),
            stall: self.stalls.take(),
        }
    }

    /// Stops Redis by SIGSTOP for this long: nothing responds, connections stay.
    pub(super) async fn stop_redis_for(&mut self, outage: Duration) {
        self.redis.pause();
        self.rng.pause(outage..outage).await;
        self.redis.resume();
    }

    /// Waits until each user has been sent another alert.
    pub(super) async fn publish_another(&self) {
        let before = self.alerts.published();
        wait::until_true("another alert for each user", 2 * wait::deadline(), async || {
            let now = self.alerts.published();
            (0..USERS).all(|index| {
                let at = |numbers: &BTreeMap<String, u64>| numbers.get(&user(index)).copied().unwrap_or_default();
                at(&now) > at(&before)
            })
        })
        .await;
    }

    /// Number of lost connections of residents, by reason.
    pub(super) fn disconnects(&self) -> BTreeMap<String, usize> {
        let mut disconnects = BTreeMap::new();
        for absence in self.log.absences(self.since) {
            *disconnects.entry(absence.reason).or_default() += 1;
        }
        disconnects
    }

    pub(super) fn haproxy_logs(&self) -> String {
        self.haproxy.logs()
    }

    pub(super) fn refused_alerts(&self) -> Vec<String> {
        self.alerts.refusals()
    }

    /// Users of the residents, and the addresses from which they connect.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (String, String)> + use<> {
        (0..USERS).map(|index| (user(index), address(index).to_string()))
    }

    /// Addresses of first-seen devices in the audit log by user, once there are that many.
    pub(super) async fn audited_addresses(&self, users: usize) -> BTreeMap<String, String> {
        let rows = "SELECT DISTINCT user_id FROM audit WHERE action = 'device_seen'";
        wait::until_true(
            "the devices of all users in the audit log",
            wait::deadline(),
            async || self.cluster.schema().sql(rows).await.len() >= users,
        )
        .await;
        let events = audit_events(&self.cluster, &self.cluster.vault_keys(), &[]).await;
        let seen = events
            .iter()
            .filter(|event| event["metadata"]["event_code"] == "device_seen");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        seen.map(|event| (text(&event["user"]["uid"]), text(&event["src_endpoint"]["ip"])))
            .collect()
    }

    /// Stops publishing, waits until each resident has received every alert, and returns what the records say.
    pub(super) async fn check(mut self) -> Findings {
        self.audience.all_connect().await;
        let last = self.alerts.stop(2 * wait::deadline()).await;
        self.audience.all_receive(&last).await;
        assert_eq!(self.audience.incomplete(&last), Vec::<String>::new());
        let findings = self.audience.findings(|_| Loss::Nothing);
        println!("{} alerts, {findings:?}", last.values().sum::<u64>());
        assert_eq!(self.cluster.finish().await, Vec::<String>::new());
        findings
    }
}

impl Round {
    /// Mean of the closes in a second.
    pub(super) fn mean_rate(&self) -> f64 {
        self.sockets as f64 / WINDOW.as_secs_f64()
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "gateway {}: taken out after {:?}; {} residents reconnected, away for {:?} at most, {} of them in the busiest second \
             (mean {:.1}), {} attempts failed; stalls of {:?} at most",
            self.gateway,
            self.noticed,
            self.sockets,
            self.longest_absence,
            self.busiest_second,
            self.mean_rate(),
            self.failed_attempts.len(),
            self.stall
        )
    }
}

/// Starts HAProxy in front of the public and the internal ports.
async fn balance(cluster: &Cluster, sessions: Sessions) -> HaProxy {
    let gateways = (0..GATEWAYS).map(|index| cluster.gateway(index));
    let server = |addr, health| Server { addr, health };
    let public = gateways
        .clone()
        .map(|gateway| server(gateway.addr(), gateway.health_addr()));
    let internal = gateways.map(|gateway| server(gateway.internal_addr(), gateway.health_addr()));
    let mut public = Listen::before(public, CHECK).proxy_protocol();
    if sessions == Sessions::EndWhenDown {
        public = public.shutdown_sessions();
    }
    HaProxy::start(&[public, Listen::before(internal, CHECK)]).await
}

/// Most of these moments in any second.
fn busiest_second(moments: impl Iterator<Item = Instant>) -> usize {
    let mut moments: Vec<Instant> = moments.collect();
    moments.sort_unstable();
    let within = |from: &Instant| {
        moments
            .iter()
            .filter(|at| *at >= from && **at < *from + Duration::from_secs(1))
            .count()
    };
    moments.iter().map(within).max().unwrap_or_default()
}

fn humane(duration: Duration) -> String {
    format!("{}s", duration.as_secs())
}

fn user(index: usize) -> String {
    format!("GEN-{index:03}")
}

/// Address of all devices of a user.
fn address(index: usize) -> IpAddr {
    Ipv4Addr::new(127, 0, 1, u8::try_from(index).unwrap_or_default() + 1).into()
}

pub(super) const GATEWAYS: usize = 3;
const USERS: usize = 75;
/// Residents: each user has a client of each library.
const RESIDENTS: usize = 300;
/// Index of the port for clients, and of that for publishers.
const PUBLIC: usize = 0;
const INTERNAL: usize = 1;
/// Interval of the health checks. Two failures take a gateway out.
const CHECK: Duration = Duration::from_millis(250);
/// Drain delay: six times what HAProxy needs.
const DELAY: Duration = Duration::from_secs(3);
const WINDOW: Duration = Duration::from_secs(4);
