//! Load during a rotation: residents receive numbered alerts, visitors connect and send a command.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;
use testkit::client::http::{Request, plain};
use testkit::client::{Endpoint, Native};
use testkit::cluster::Cluster;
use testkit::token::Signer;
use testkit::wait;
use tokio::task::JoinSet;

/// Clients and the application, until [`Load::finish`].
pub(super) struct Load {
    state: Arc<State>,
    residents: Vec<Native>,
    tasks: JoinSet<()>,
}

/// State of the tasks.
struct State {
    /// Signers of the visitors' tokens, used in turn.
    signers: Mutex<Vec<Arc<Signer>>>,
    /// Token of the application at the internal API.
    internal_token: Mutex<String>,
    has_ended: AtomicBool,
    /// Visitors served, by gateway.
    served: [AtomicU64; 2],
    /// Alerts that the internal API accepted for each resident.
    published: AtomicU64,
    refusals: Mutex<Vec<String>>,
}

impl Load {
    /// Starts the load on both gateways, with tokens of this signer, and this token at the internal API.
    pub(super) async fn start(cluster: &Cluster, signer: &Arc<Signer>, internal_token: &str) -> Self {
        let state = Arc::new(State {
            signers: Mutex::new(vec![Arc::clone(signer)]),
            internal_token: Mutex::new(internal_token.to_owned()),
            has_ended: AtomicBool::new(false),
            served: [const { AtomicU64::new(0) }; 2],
            published: AtomicU64::new(0),
            refusals: Mutex::default(),
        });
        let mut residents = Vec::new();
        let mut tasks = JoinSet::new();
        for gateway in 0..2 {
            let endpoint = cluster.endpoint(gateway);
            for number in 0..RESIDENTS {
                let token = signer.token(&resident(gateway, number));
                residents.push(Native::connect(&endpoint, &token).await.unwrap());
            }
            tasks.spawn(Arc::clone(&state).visitors(gateway, endpoint));
        }
        let internal = [0, 1].map(|gateway| cluster.gateway(gateway).internal_addr());
        tasks.spawn(Arc::clone(&state).publisher(internal));
        Self {
            state,
            residents,
            tasks,
        }
    }

    /// Signs the tokens of visitors with these, in turn.
    pub(super) fn sign_with(&self, signers: &[&Arc<Signer>]) {
        *self.state.signers.lock().unwrap() = signers.iter().map(|signer| Arc::clone(signer)).collect();
    }

    /// Publishes with this token.
    pub(super) fn publish_with(&self, token: &str) {
        token.clone_into(&mut self.state.internal_token.lock().unwrap());
    }

    /// Waits until a number of visitors and alerts have passed.
    pub(super) async fn passes(&self) {
        let before = self.state.counts();
        wait::until_true("the load to pass", wait::deadline(), async || {
            let now = self.state.counts();
            now.iter().zip(before).all(|(now, before)| *now >= before + PASSES)
        })
        .await;
        assert_eq!(*self.state.refusals.lock().unwrap(), Vec::<String>::new());
    }

    /// Ends the load; checks that nobody was refused and each resident has received every alert once, in sequence. Returns the
    /// residents.
    pub(super) async fn finish(self) -> Vec<Native> {
        let Self {
            state,
            residents,
            tasks,
        } = self;
        state.has_ended.store(true, Ordering::SeqCst);
        tasks.join_all().await;
        assert_eq!(*state.refusals.lock().unwrap(), Vec::<String>::new());
        let published = state.published.load(Ordering::SeqCst);
        for resident in &residents {
            for number in 1..=published {
                let alert = resident.next_event("security:alert").await;
                assert_eq!(alert.data["message"], number.to_string());
            }
        }
        residents
    }
}

impl State {
    async fn visitors(self: Arc<Self>, gateway: usize, endpoint: Endpoint) {
        let mut number = 0;
        while !self.has_ended.load(Ordering::SeqCst) {
            number += 1;
            // Chosen before the connect: afterwards the rotation may have gone on.
            let signer = {
                let signers = self.signers.lock().unwrap();
                Arc::clone(&signers[number % signers.len()])
            };
            let token = signer.token(&format!("VIS-{gateway}-{number}"));
            match Native::connect(&endpoint, &token).await {
                Err(refused) => self.refuse(format!("visitor: {refused:?}")),
                Ok(visitor) => {
                    let list = visitor.request("account:list", json!({})).await.data;
                    if list["success"] != true {
                        self.refuse(format!("command: {list}"));
                    }
                    visitor.close().await;
                }
            }
            self.served[gateway].fetch_add(1, Ordering::SeqCst);
        }
    }

    async fn publisher(self: Arc<Self>, internal: [SocketAddr; 2]) {
        let mut number = 0;
        while !self.has_ended.load(Ordering::SeqCst) {
            number += 1;
            for (gateway, resident_number) in
                (0..2).flat_map(|gateway| (0..RESIDENTS).map(move |number| (gateway, number)))
            {
                let user = resident(gateway, resident_number);
                let token = self.internal_token.lock().unwrap().clone();
                let alert = json!({"event": "security:alert", "data": {"userId": user, "severity": "low",
                    "type": "suspicious_login", "message": number.to_string(), "requiresAction": false}});
                let request = Request::post(&format!("/v1/users/{user}/events"), &alert).bearer(&token);
                // Through the other gateway, so that each alert crosses Redis.
                match plain(internal[1 - gateway], &request).await {
                    Ok(answer) if (200..300).contains(&answer.status) => {}
                    Ok(answer) => self.refuse(format!("publish: {} {}", answer.status, answer.text())),
                    Err(error) => self.refuse(format!("publish: {error}")),
                }
            }
            self.published.store(number, Ordering::SeqCst);
        }
    }

    fn refuse(&self, refusal: String) {
        self.refusals.lock().unwrap().push(refusal);
    }

    fn counts(&self) -> [u64; 3] {
        let [first, second] = &self.served;
        [first, second, &self.published].map(|count| count.load(Ordering::SeqCst))
    }
}

fn resident(gateway: usize, number: usize) -> String {
    format!("RES-{gateway}-{number}")
}

/// Residents of each gateway.
const RESIDENTS: usize = 3;
/// Visitors of each gateway, and alerts of each resident, for which a step of the rotation waits.
const PASSES: u64 = 5;
