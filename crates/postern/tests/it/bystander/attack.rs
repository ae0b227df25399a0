//! Attackers with a pause control.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use simulator::{Fault, Handle, Kind, Platform, Route};
use testkit::client::http::{Request, plain};
use testkit::client::{Endpoint, SocketIo};
use testkit::cluster::Cluster;
use testkit::{token, wait};
use tokio::runtime::{self, Runtime};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use crate::stage::{Platforms, connect};

/// A running attack. It ends with this value.
pub(super) struct Attack {
    control: Control,
    /// Number of steps after which the attack has started.
    warm: u64,
    /// Platform that hangs during the attack.
    hangs: Option<Handle>,
    _attackers: Attackers,
}

/// Threads of the attackers, with the lowest priority: real attackers have machines of their own, so their computation must not
/// delay a bystander.
struct Attackers(Option<Runtime>);

impl Attackers {
    fn new() -> Self {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .on_thread_start(|| assert!(rustix::process::nice(19).is_ok()))
            .build();
        Self(Some(runtime.unwrap()))
    }

    fn spawn(&self, attacker: impl Future<Output = ()> + Send + 'static) {
        let runtime = self.0.as_ref().unwrap();
        drop(runtime.spawn(attacker));
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Control shared by all attackers.
#[derive(Clone)]
struct Control {
    is_on: watch::Sender<bool>,
    steps: Arc<AtomicU64>,
}

impl Control {
    fn new() -> Self {
        Self {
            is_on: watch::Sender::new(false),
            steps: Arc::default(),
        }
    }

    /// Waits until the attack is on, and counts a step of it.
    async fn step(&self) {
        self.is(true).await;
        self.count();
    }

    fn count(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    async fn is(&self, wanted: bool) {
        drop(self.is_on.subscribe().wait_for(|is_on| *is_on == wanted).await);
    }
}

impl Attack {
    fn of(warm: u64, spawn: impl FnOnce(&Control, &Attackers)) -> Self {
        let (control, attackers) = (Control::new(), Attackers::new());
        spawn(&control, &attackers);
        Self {
            control,
            warm,
            hangs: None,
            _attackers: attackers,
        }
    }

    /// Starts so many users that send every command from 64 sockets each: 1,000 a second in all. The attack has started when all are
    /// connected.
    pub(super) fn flood(cluster: &Cluster, users: u64) -> Self {
        Self::of(64 * 4 * users, |control, attackers| {
            for user in 0..users {
                let user = format!("noisy-{user}");
                let now = token::now();
                let claims = json!({ "sub": user, "sid": "s", "iat": now, "exp": now + 3_600 });
                let token = cluster.token_with(&claims);
                for _ in 0..64 {
                    let pace = Duration::from_millis(60 * users);
                    let flood = flood(cluster.endpoint(0), user.clone(), token.clone(), pace, control.clone());
                    attackers.spawn(flood);
                }
            }
        })
    }

    /// Starts a hundred users that repeatedly link an account of a platform that does not answer.
    pub(super) fn hung_platform(cluster: &Cluster, platforms: &Platforms) -> Self {
        let mut attack = Self::of(100, |control, attackers| {
            for user in 0..100 {
                let user = format!("linking-{user}");
                let token = cluster.token(&user);
                attackers.spawn(link(cluster.endpoint(0), user, token, control.clone()));
            }
        });
        attack.hangs = Some(platforms.handle.clone());
        attack
    }

    /// Starts 4,096 connections without a token that send a request each 4 s, and are opened again 16 s after they were closed. The
    /// attack has started when all have tried.
    pub(super) fn idle_connections(cluster: &Cluster) -> Self {
        Self::of(4_096, |control, attackers| {
            for _ in 0..4_096 {
                attackers.spawn(ask_now_and_then(cluster.endpoint(0), control.clone()));
            }
        })
    }

    /// Starts 40 connections without a token that pipeline requests and never read.
    pub(super) fn non_readers(cluster: &Cluster) -> Self {
        Self::of(40, |control, attackers| {
            for _ in 0..40 {
                attackers.spawn(ask_ahead(cluster.endpoint(0), control.clone()));
            }
        })
    }

    /// Starts four publishers of events for one user with 16 sockets, 100 in a request: 2,000 a second in all. The attack has started when
    /// all are connected, and each publisher has published.
    pub(super) fn hot_user(cluster: &Cluster) -> Self {
        Self::of(16 + 4, |control, attackers| {
            for _ in 0..16 {
                let socket = receive(cluster.endpoint(0), cluster.token("hot"), control.clone());
                attackers.spawn(socket);
            }
            for _ in 0..4 {
                let (api, token) = (cluster.gateway(0).internal_addr(), cluster.internal_token().to_owned());
                attackers.spawn(publish(api, token, control.clone()));
            }
        })
    }

    /// Resumes the attack, and waits until it has an effect.
    pub(super) async fn begin(&self) {
        if let Some(platform) = &self.hangs {
            platform.fault(Fault::forever(Platform::Github, Route::Token, Kind::AwaitRelease));
        }
        let steps = || self.control.steps.load(Ordering::Relaxed);
        let before = steps();
        self.control.is_on.send_replace(true);
        wait::until_true("the attack to be under way", wait::deadline(), async || {
            steps() >= before + self.warm
        })
        .await;
    }

    pub(super) fn pause(&self) {
        self.control.is_on.send_replace(false);
        if let Some(platform) = &self.hangs {
            platform.clear_faults();
            platform.release();
        }
    }
}

/// Sends commands without waiting for answers; reconnects when its socket is closed, and from time to time anyway.
async fn flood(endpoint: Endpoint, user: String, token: String, pace: Duration, control: Control) {
    let commands = every_command(&user, &token);
    let (mut next, mut pace, mut pause) = (0, every(pace), every(Duration::from_secs(2)));
    loop {
        pause.tick().await;
        control.is(true).await;
        let Ok(socket) = SocketIo::connect(&endpoint, &token).await else {
            continue;
        };
        for _ in 0..200 {
            control.step().await;
            if !socket.is_open() {
                break;
            }
            let (event, data) = &commands[next % commands.len()];
            next += 1;
            socket.emit(event, data.clone()).await;
            pace.tick().await;
        }
    }
}

/// Every command, with a plausible payload.
fn every_command(user: &str, token: &str) -> Vec<(&'static str, Value)> {
    let account = json!({ "userId": user, "accountType": "github" });
    let redirect = "http://localhost:3000/callback";
    let code = json!({ "userId": user, "sessionId": "none", "token": "123456" });
    let revoke = json!({ "userId": user, "confirmationToken": "none" });
    let settings = json!({ "userId": user, "settings": { "sessionTimeout": 60 } });
    vec![
        (
            "account:authorize",
            json!({ "accountType": "github", "redirectUri": redirect }),
        ),
        ("account:connect", connect(user, "test_code_flood")),
        ("account:list", json!({})),
        ("account:sync", account.clone()),
        ("account:disconnect", account),
        ("security:verify_2fa", code),
        (
            "security:request_confirmation",
            json!({ "action": "security:revoke_all" }),
        ),
        ("security:revoke_all", revoke),
        ("security:get_settings", json!({})),
        ("security:update_settings", settings),
        ("security:extend_session", json!({})),
        ("security:sessions", json!({})),
        ("security:end_sessions", json!({ "sessionId": "none" })),
        ("security:ack", json!({ "alertId": "none" })),
        ("security:alerts", json!({})),
        ("auth:refresh", json!({ "token": token })),
    ]
}

/// Presents codes one after the other, each after the answer to the previous one.
async fn link(endpoint: Endpoint, user: String, token: String, control: Control) {
    let socket = SocketIo::connect(&endpoint, &token).await.unwrap();
    let mut pause = every(Duration::from_secs(1));
    for number in 0.. {
        control.step().await;
        let code = format!("test_code_{user}_{number}");
        socket.emit_with_ack("account:connect", connect(&user, &code)).await;
        pause.tick().await;
    }
}

/// Receives during the attack, on a new connection each time it begins, and after each loss of one.
async fn receive(endpoint: Endpoint, token: String, control: Control) {
    let mut pause = every(Duration::from_secs(1));
    loop {
        pause.tick().await;
        control.is(true).await;
        let Ok(socket) = SocketIo::connect(&endpoint, &token).await else {
            continue;
        };
        control.count();
        tokio::select! {
            _ = socket.closed() => {}
            () = control.is(false) => {}
        }
    }
}

async fn publish(api: SocketAddr, token: String, control: Control) {
    let data = json!({ "accountType": "github", "status": "error", "metadata": { "errorMessage": "x".repeat(200) } });
    let event = json!({ "userId": "hot", "event": "account:status_changed", "data": data });
    let events = Request::post("/v1/events", &json!({ "events": vec![event; 100] })).bearer(&token);
    let mut pace = every(Duration::from_millis(200));
    loop {
        pace.tick().await;
        control.is(true).await;
        if plain(api, &events).await.is_ok_and(|answer| answer.status == 200) {
            control.count();
        }
    }
}

async fn ask_now_and_then(endpoint: Endpoint, control: Control) {
    let mut pause = every(Duration::from_secs(16));
    loop {
        control.is(true).await;
        let ask = async {
            let opened = endpoint.open().await;
            control.count();
            let Ok(mut wire) = opened else { return };
            let mut pace = every(Duration::from_secs(4));
            while wire.send(REQUEST).await.is_ok() {
                pace.tick().await;
            }
        };
        tokio::select! {
            () = ask => {}
            () = control.is(false) => continue,
        }
        pause.tick().await;
    }
}

async fn ask_ahead(endpoint: Endpoint, control: Control) {
    let many = REQUEST.repeat(1_000);
    let mut pause = every(Duration::from_secs(1));
    loop {
        control.step().await;
        let ask = async {
            let Ok(mut wire) = endpoint.open().await else { return };
            // As much as the kernel buffers, and then a little longer than a gateway waits.
            while let Ok(Ok(())) = timeout(Duration::from_secs(30), wire.send(&many)).await {}
        };
        tokio::select! {
            () = ask => {}
            () = control.is(false) => continue,
        }
        pause.tick().await;
    }
}

/// Interval that skips missed ticks.
fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

const REQUEST: &[u8] = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n";
