//! Ordinary users whose steps are timed.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::client::{Endpoint, SocketIo};
use testkit::cluster::Cluster;
use testkit::token;
use tokio::time::Instant;

use crate::factor::code_of_previous_step;

/// Steps of a probe, in sequence.
pub(super) const STEPS: [&str; 3] = ["connect", "account:list", "security:verify_2fa"];

/// Duration of each step, in each probe.
#[derive(Default)]
pub(super) struct Times([Vec<Duration>; STEPS.len()]);

impl Times {
    pub(super) fn add(&mut self, probe: [Duration; STEPS.len()]) {
        for (times, time) in self.0.iter_mut().zip(probe) {
            times.push(time);
        }
    }

    /// The 99th and the 50th percentile of a step.
    pub(super) fn quantiles(&self, step: &str) -> [Duration; 2] {
        let at = STEPS.iter().position(|name| *name == step).unwrap();
        let mut times = self.0[at].clone();
        times.sort();
        [99, 50].map(|percent| times[(times.len() * percent).div_ceil(100) - 1])
    }
}

/// Users with a second factor, and their unused recovery codes.
pub(super) struct Bystanders {
    endpoint: Endpoint,
    users: Vec<(String, Vec<String>)>,
    probes: usize,
}

impl Bystanders {
    /// Enrols as many users as so many probes need: the codes of one user that are checked within a minute are limited.
    pub(super) async fn enrol(cluster: &Cluster, probes: usize) -> Self {
        // Not the attackers' address.
        let endpoint = cluster.endpoint(0).with_source(IpAddr::from([127, 0, 0, 2]));
        let mut users = Vec::new();
        // One by one: without optimization a QR code takes a worker some tenths of a second.
        for number in 0..probes.div_ceil(CODES) {
            let user = format!("bystander-{number}");
            let codes = enrol(&endpoint, &cluster.token(&user), &user).await;
            users.push((user, codes));
        }
        Self {
            users,
            endpoint,
            probes: 0,
        }
    }

    /// Connects another user with a new session, lists its accounts, and verifies its second factor.
    pub(super) async fn probe(&mut self, cluster: &Cluster) -> [Duration; STEPS.len()] {
        self.probes += 1;
        let index = self.probes % self.users.len();
        let (user, codes) = &mut self.users[index];
        let now = token::now();
        let claims = json!({ "sub": user, "sid": format!("s-{}", self.probes), "iat": now, "exp": now + 3_600 });
        let token = cluster.token_with(&claims);
        let started = Instant::now();
        let socket = SocketIo::connect(&self.endpoint, &token).await.unwrap();
        let connected = started.elapsed();

        let started = Instant::now();
        let list = socket.emit_with_ack("account:list", json!({})).await;
        let listed = started.elapsed();
        assert_eq!(list["success"], true, "{list}");

        let unlink = json!({ "userId": user, "accountType": "github" });
        let refused = socket.emit_with_ack("account:disconnect", unlink).await;
        assert_eq!(refused["error"], "2fa_required", "{refused}");
        let challenge = socket.next_event("security:2fa_required").await.data["sessionId"].clone();
        let started = Instant::now();
        let verified = verify(&socket, user, &challenge, &codes.pop().unwrap()).await;
        let given = started.elapsed();
        assert_eq!(verified["success"], true, "{verified}");
        socket.disconnect().await;
        [connected, listed, given]
    }
}

/// Turns the second factor of a user on; returns as many of its recovery codes as are checked within a minute.
async fn enrol(endpoint: &Endpoint, token: &str, user: &str) -> Vec<String> {
    let socket = SocketIo::connect(endpoint, token).await.unwrap();
    let command = json!({ "userId": user, "settings": { "twoFactorEnabled": true, "method": "totp" } });
    let answer = socket.emit_with_ack("security:update_settings", command).await;
    let enrolment = &answer["enrolment"];
    let secret = enrolment["secret"].as_str().unwrap();
    let previous = code_of_previous_step(secret).await;
    let verified = verify(&socket, user, &enrolment["sessionId"], &previous).await;
    socket.disconnect().await;
    let codes = verified["recoveryCodes"].as_array().unwrap().iter().take(CODES);
    codes.map(|code| code.as_str().unwrap().to_owned()).collect()
}

async fn verify(socket: &SocketIo, user: &str, challenge: &Value, code: &str) -> Value {
    let command = json!({ "userId": user, "sessionId": challenge, "token": code });
    socket.emit_with_ack("security:verify_2fa", command).await
}

/// Codes of one user that are checked within a minute, besides that of the enrolment.
const CODES: usize = 4;
