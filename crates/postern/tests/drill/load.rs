//! Background load: users who connect, link, sync and receive codes, so that every dependency is in use all the time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::client::http::{self, Request};
use testkit::client::{Endpoint, Native, SocketIo};
use testkit::cluster::Cluster;
use testkit::token::{Signer, claims};
use testkit::wait;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::stage::KEY_ID;

/// Running load. It ends with this value.
pub(super) struct Load {
    entrance: Arc<Entrance>,
    _tasks: JoinSet<()>,
}

/// Actions of a user, another one each time.
#[derive(Clone, Copy, Debug)]
enum Visit {
    /// Links an account at this platform, syncs it and, every other time, disconnects it.
    Link(&'static str),
    /// Requests a code by this method.
    Enrol(&'static str),
    /// Resumes on the other gateway, and receives an event of the internal API.
    Resume,
    /// Has its sessions ended by the internal API.
    End,
    /// Stays until its token expires.
    Expire,
}

const VISITS: [Visit; 9] = [
    Visit::Link("github"),
    Visit::Link("discord"),
    Visit::Link("telegram"),
    Visit::Link("x_twitter"),
    Visit::Enrol("email"),
    Visit::Enrol("sms"),
    Visit::Resume,
    Visit::End,
    Visit::Expire,
];

/// Way into the cluster.
struct Entrance {
    gateways: [Endpoint; 2],
    internal: SocketAddr,
    internal_token: String,
    signer: Arc<Signer>,
    /// Number of successful visits, as in [`VISITS`].
    succeeded: [AtomicU64; VISITS.len()],
}

impl Load {
    /// Starts a visit of each kind every [`EACH`].
    pub(super) fn start(cluster: &Cluster, signer: &Arc<Signer>) -> Self {
        let entrance = Arc::new(Entrance {
            gateways: [0, 1].map(|gateway| cluster.endpoint(gateway)),
            internal: cluster.gateway(0).internal_addr(),
            internal_token: cluster.internal_token().to_owned(),
            signer: Arc::clone(signer),
            succeeded: VISITS.map(|_| AtomicU64::new(0)),
        });
        let mut tasks = JoinSet::new();
        for kind in 0..VISITS.len() {
            tasks.spawn(repeat(Arc::clone(&entrance), kind));
        }
        Self {
            entrance,
            _tasks: tasks,
        }
    }

    /// Waits until several visits of each kind have succeeded.
    pub(super) async fn until_all_succeed(&self) {
        for (visit, succeeded) in VISITS.iter().zip(&self.entrance.succeeded) {
            let what = format!("visits to succeed: {visit:?}");
            let several = async || succeeded.load(Ordering::SeqCst) >= 3;
            wait::until_true(&what, 4 * wait::deadline(), several).await;
        }
    }
}

/// Starts visits of this kind at a steady rate, also while earlier ones are stuck.
async fn repeat(entrance: Arc<Entrance>, kind: usize) {
    let (mut ticks, mut visits) = (interval(EACH), JoinSet::new());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0.. {
        ticks.tick().await;
        // A visit fails while what it needs has a fault, at worst by a panic of the test kit.
        while visits.try_join_next().is_some() {}
        if visits.len() < AT_ONCE {
            let entrance = Arc::clone(&entrance);
            visits.spawn(async move {
                let visit = Box::pin(entrance.visit(VISITS[kind], kind, number));
                if timeout(LONGEST, visit).await.ok().flatten().is_some() {
                    entrance.succeeded[kind].fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    }
}

impl Entrance {
    /// `None` if a part of the visit failed.
    async fn visit(&self, visit: Visit, kind: usize, number: usize) -> Option<()> {
        let user = format!("DRILL-{kind}-{number}");
        let gateways = match number % 2 {
            0 => [&self.gateways[0], &self.gateways[1]],
            _ => [&self.gateways[1], &self.gateways[0]],
        };
        match visit {
            Visit::Link(platform) => self.link(gateways[0], &user, platform, number % 4 < 2).await,
            Visit::Enrol(method) => self.enrol(gateways[0], &user, method, number).await,
            Visit::Resume => self.resume(gateways, &user).await,
            Visit::End => self.end(gateways[0], &user).await,
            Visit::Expire => self.expire(gateways[0], &user).await,
        }
    }

    async fn link(&self, gateway: &Endpoint, user: &str, platform: &str, stays: bool) -> Option<()> {
        let client = self.connect(gateway, user).await?;
        let account = json!({ "userId": user, "accountType": platform });
        let mut connect = account.clone();
        connect["oauthCode"] = json!(format!("test_code_{user}"));
        connect["redirectUri"] = json!("http://localhost:3000/callback");
        succeeds(&client, "account:connect", connect).await?;
        succeeds(&client, "account:sync", account.clone()).await?;
        succeeds(&client, "account:list", json!({})).await?;
        if !stays {
            succeeds(&client, "account:disconnect", account).await?;
        }
        client.close().await;
        Some(())
    }

    async fn enrol(&self, gateway: &Endpoint, user: &str, method: &str, number: usize) -> Option<()> {
        let client = self.connect(gateway, user).await?;
        let address = match method {
            "sms" => format!("+43660{number:07}"),
            _ => format!("{user}@example.com"),
        };
        let settings = json!({ "twoFactorEnabled": true, "method": method, "address": address });
        let update = json!({ "userId": user, "settings": settings });
        succeeds(&client, "security:update_settings", update).await?;
        client.close().await;
        Some(())
    }

    async fn resume(&self, gateways: [&Endpoint; 2], user: &str) -> Option<()> {
        let token = self.token(user);
        let first = Native::connect(gateways[0], &token).await.ok()?;
        let event =
            json!({ "event": "account:status_changed", "data": { "accountType": "github", "status": "error" } });
        self.ask(Request::post(&format!("/v1/users/{user}/events"), &event), 202)
            .await?;
        let offset = first.next_event("account:status_changed").await.offset?;
        let resume = json!({ "resumeToken": first.ready()["resumeToken"], "offset": offset });
        drop(first);
        let auth = json!({ "token": token, "resume": resume });
        let second = Native::to(gateways[1]).auth(auth).connect().await.ok()?;
        (second.ready()["recovered"] == true).then_some(())
    }

    async fn end(&self, gateway: &Endpoint, user: &str) -> Option<()> {
        let client = self.connect(gateway, user).await?;
        let sessions = Request::new("DELETE", &format!("/v1/users/{user}/sessions"));
        self.ask(sessions, 200).await?;
        client.closed().await;
        Some(())
    }

    async fn expire(&self, gateway: &Endpoint, user: &str) -> Option<()> {
        let token = self.signed(&claims(user, Duration::from_secs(3)));
        let client = SocketIo::connect(gateway, &token).await.ok()?;
        client.closed().await;
        Some(())
    }

    async fn connect(&self, gateway: &Endpoint, user: &str) -> Option<SocketIo> {
        SocketIo::connect(gateway, &self.token(user)).await.ok()
    }

    /// Sends a request to the internal API; `None` if the response has another status.
    async fn ask(&self, request: Request, status: u16) -> Option<()> {
        let request = request.bearer(&self.internal_token);
        let response = http::plain(self.internal, &request).await.ok()?;
        (response.status == status).then_some(())
    }

    fn token(&self, user: &str) -> String {
        self.signed(&claims(user, Duration::from_secs(3_600)))
    }

    fn signed(&self, claims: &Value) -> String {
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": KEY_ID });
        self.signer.sign_with(&header, claims)
    }
}

async fn succeeds(client: &SocketIo, command: &str, data: Value) -> Option<()> {
    let answer = client.emit_with_ack(command, data).await;
    (answer["success"] == true).then_some(())
}

const EACH: Duration = Duration::from_secs(1);
/// Most visits of one kind that are under way.
const AT_ONCE: usize = 8;
/// Time for a visit: longer than the product lets a command or a connect wait.
const LONGEST: Duration = Duration::from_secs(25);
