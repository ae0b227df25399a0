//! Commands of Redis and statements of Postgres that connects, publishes and alerts cost, counted against tests/limits.toml.

use std::collections::HashSet;

use serde_json::{Value, json};
use testkit::client::http::{Request, plain};
use testkit::limits::Limits;
use testkit::postgres::{StatementLog, Transaction};
use testkit::redis::{Call, Monitor};
use testkit::token::claims;
use testkit::{Cluster, Native, Postgres, Redis, wait};

use crate::stage::POSTERN;

/// Users, of which each does every operation once. A count is that of the user at the first quartile: a periodic command of a user's
/// socket, and the end of the last user's operation, do not change it.
const USERS: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_stay_within_their_commands_and_statements() {
    let (redis, postgres) = (Redis::start().await, Postgres::start_logging_statements().await);
    let schema = postgres.schema().await;
    let cluster = Cluster::builder(POSTERN).gateways(1).redis(&redis).schema(schema);
    let cluster = cluster.gateway_env("POSTERN_CONNECT_RATE", "off").start().await;
    let mut costs = Costs::start(&redis, &postgres).await;
    let stage = Stage {
        cluster: &cluster,
        redis: &redis,
    };

    costs.record_periodic_statements().await;
    let mut sockets = Vec::new();
    // The first use of a script also loads it.
    for kind in Operation::ALL {
        sockets.extend(stage.run(kind, "warm-up").await);
    }
    costs.restart().await;
    let mut excesses = Vec::new();
    for kind in Operation::ALL {
        for number in 0..USERS {
            sockets.extend(stage.run(kind, &user(number)).await);
        }
        excesses.extend(costs.excesses(kind).await);
    }
    assert_eq!(excesses, Vec::<String>::new());
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// Name that occurs in no other command or parameter.
fn user(number: usize) -> String {
    format!("counted-{number:02}-user")
}

/// Operation whose cost is counted, in the sequence in which a user does them.
#[derive(Clone, Copy, Debug)]
enum Operation {
    FirstConnect,
    KnownConnect,
    /// Publish to an event log that is not known to be restored.
    FirstPublish,
    Publish,
    /// Publish with an idempotency key.
    KeyedPublish,
    Alert,
}

impl Operation {
    const ALL: [Self; 6] = [
        Self::FirstConnect,
        Self::KnownConnect,
        Self::FirstPublish,
        Self::Publish,
        Self::KeyedPublish,
        Self::Alert,
    ];

    /// Part of the names of its limits.
    fn name(self) -> &'static str {
        match self {
            Self::FirstConnect => "first_connect",
            Self::KnownConnect => "known_connect",
            Self::FirstPublish => "first_publish",
            Self::Publish => "publish",
            Self::KeyedPublish => "keyed_publish",
            Self::Alert => "alert",
        }
    }
}

/// Cluster on which the operations run.
struct Stage<'a> {
    cluster: &'a Cluster,
    redis: &'a Redis,
}

impl Stage<'_> {
    /// Does one operation of a user, and waits for its effect. Returns the socket of a connect.
    async fn run(&self, operation: Operation, user: &str) -> Option<Native> {
        match operation {
            Operation::FirstConnect => {
                let socket = self.connect(user).await;
                self.worker_is_done_with(user).await;
                Some(socket)
            }
            Operation::KnownConnect => Some(self.connect(user).await),
            Operation::FirstPublish | Operation::Publish | Operation::KeyedPublish => {
                let data = json!({ "accountType": "github", "status": "connected" });
                let mut body = json!({ "event": "account:status_changed", "data": data });
                if matches!(operation, Operation::KeyedPublish) {
                    body["idempotencyKey"] = json!("key");
                }
                self.publish(user, &body).await;
                None
            }
            Operation::Alert => {
                let alert = json!({ "severity": "high", "type": "suspicious_login", "message": "is it you?",
                    "requiresAction": true });
                self.publish(user, &json!({ "event": "security:alert", "data": alert }))
                    .await;
                None
            }
        }
    }

    /// Opens a socket of the user's only session.
    async fn connect(&self, user: &str) -> Native {
        let mut claims = claims(user, wait::deadline() * 100);
        claims["sid"] = json!(format!("session-{user}"));
        let token = self.cluster.token_with(&claims);
        Native::connect(&self.cluster.endpoint(0), &token).await.unwrap()
    }

    /// Waits until the worker has recorded the user's device and has no job.
    async fn worker_is_done_with(&self, user: &str) {
        let seen = format!("{}:{{{user}}}:seen", self.cluster.redis_prefix());
        wait::until_true("the worker to finish a connect", wait::deadline(), async || {
            let mut jobs = 0;
            for lane in ["sign_in", "interactive"] {
                let lane = format!("{}:{{jobs:{lane}}}", self.cluster.redis_prefix());
                jobs += self.redis.command(&["XLEN", &lane]).await.parse::<u64>().unwrap();
            }
            jobs == 0 && self.redis.command(&["EXISTS", &seen]).await == "1"
        })
        .await;
    }

    /// Publishes an event, and returns after the response.
    async fn publish(&self, user: &str, body: &Value) {
        let request = Request::post(&format!("/v1/users/{user}/events"), body).bearer(self.cluster.internal_token());
        let response = plain(self.cluster.gateway(0).internal_addr(), &request).await.unwrap();
        assert_eq!(response.status, 202, "{}", response.text());
    }
}

/// Records of both servers, and the limits.
struct Costs<'a> {
    redis: Monitor,
    postgres: &'a Postgres,
    statements: StatementLog<'a>,
    /// Texts of the statements that workers execute without any operation.
    periodic: HashSet<String>,
    limits: Limits<'static>,
}

impl<'a> Costs<'a> {
    async fn start(redis: &Redis, postgres: &'a Postgres) -> Self {
        Self {
            redis: redis.monitor().await,
            postgres,
            statements: postgres.statement_log().await,
            periodic: HashSet::new(),
            limits: Limits::new(include_str!("../limits.toml")),
        }
    }

    /// Learns the periodic statements while nothing else happens, over about two seconds of them.
    async fn record_periodic_statements(&mut self) {
        let entries = || self.postgres.scratch().logs().matches(" LOG:  ").count();
        let enough = entries() + 40;
        wait::until_true("the periodic statements", wait::deadline(), async || {
            entries() >= enough
        })
        .await;
        let transactions = self.statements.take().await;
        let statements = transactions.into_iter().flat_map(|each| each.statements);
        self.periodic.extend(statements.map(|statement| statement.text));
    }

    /// Drops what was recorded until now.
    async fn restart(&mut self) {
        self.redis.take().await;
        self.statements.take().await;
    }

    /// Counts an operation that every user has done since the last time, and describes counts above their limits.
    async fn excesses(&mut self, operation: Operation) -> Vec<String> {
        let calls = self.redis.take().await;
        let transactions = self.statements.take().await;
        let shared = |call: &Call| REPLIES_AND_ENDS_OF_JOBS.iter().any(|text| call.contains(text));
        let aperiodic = |transaction: &Transaction| {
            let mut texts = transaction.statements.iter().map(|statement| &statement.text);
            texts.any(|text| !self.periodic.contains(text))
        };
        let counts = [
            ("redis_calls", each_user(&calls, Call::contains, shared, |_| 1)),
            (
                "redis_commands",
                each_user(&calls, Call::contains, shared, Call::commands),
            ),
            (
                "postgres_statements",
                each_user(&transactions, Transaction::contains, aperiodic, |each| {
                    each.statements.len()
                }),
            ),
        ];
        counts
            .into_iter()
            .filter_map(|(unit, count)| self.limits.excess(&format!("{unit}_{}", operation.name()), count))
            .collect()
    }
}

/// Cost of one user: of the items that name the user, and an equal part of those that are shared and name none.
fn each_user<T>(
    items: &[T],
    names: impl Fn(&T, &str) -> bool,
    shared: impl Fn(&T) -> bool,
    cost: impl Fn(&T) -> usize,
) -> u64 {
    let users: Vec<String> = (0..USERS).map(user).collect();
    let cost_of = |part: &dyn Fn(&T) -> bool| items.iter().filter(|item| part(item)).map(&cost).sum::<usize>();
    let mut own: Vec<usize> = users.iter().map(|user| cost_of(&|item| names(item, user))).collect();
    own.sort_unstable();
    let unnamed = cost_of(&|item| shared(item) && !users.iter().any(|user| names(item, user)));
    // To the nearest number: the end of the last user's operation may be missing, or a rare periodic item be present.
    let part = (unnamed + USERS / 2) / USERS;
    u64::try_from(own[USERS / 4] + part).unwrap()
}

/// Texts in the calls that finish a job: the key of a reply, and the end of a lane's entry. They name a job, and no user.
const REPLIES_AND_ENDS_OF_JOBS: [&str; 2] = [":{n:", "\"XACK\""];
