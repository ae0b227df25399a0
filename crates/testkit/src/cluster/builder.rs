//! Builder of a cluster.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::member::{Launcher, Role};
use super::{Cluster, Stores};
use crate::chaos::Proxy;
use crate::fail::fail;
use crate::postgres::{Postgres, Schema, WORKER_ROLE};
use crate::redis::{Redis, RedisCluster, RedisSentinel};
use crate::scratch::Scratch;
use crate::tls::Authority;
use crate::token::{Signer, random_bytes, random_text};
use crate::wait;

/// Number of nodes, stores and settings. Defaults: two gateways, one worker, and a prefix and a schema of the servers that the
/// test process shares.
#[derive(Debug)]
pub struct Builder {
    binary: PathBuf,
    gateways: usize,
    workers: usize,
    redis: Option<RedisServers>,
    redis_route: Option<SocketAddr>,
    schema: Option<Schema>,
    database_route: Option<SocketAddr>,
    settings: Vec<(Option<Role>, String, String)>,
    left_out: Vec<String>,
}

/// URL for the nodes, and addresses of all servers behind it.
#[derive(Debug)]
struct RedisServers {
    url: String,
    addrs: Vec<SocketAddr>,
}

impl Builder {
    pub(super) fn new(binary: &Path) -> Self {
        Self {
            binary: binary.to_owned(),
            gateways: 2,
            workers: 1,
            redis: None,
            redis_route: None,
            schema: None,
            database_route: None,
            settings: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// Sets the number of gateways.
    #[must_use]
    pub fn gateways(mut self, count: usize) -> Self {
        self.gateways = count;
        self
    }

    /// Sets the number of workers.
    #[must_use]
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = count;
        self
    }

    /// Uses this server instead of the shared one.
    #[must_use]
    pub fn redis(mut self, redis: &Redis) -> Self {
        self.redis = Some(RedisServers {
            url: redis.url(),
            addrs: vec![redis.addr()],
        });
        self
    }

    /// Uses the primary that these sentinels name.
    #[must_use]
    pub fn redis_sentinel(mut self, redis: &RedisSentinel) -> Self {
        self.redis = Some(RedisServers {
            url: redis.url(),
            addrs: redis.servers().map(Redis::addr).collect(),
        });
        self
    }

    /// Uses this cluster of Redis.
    #[must_use]
    pub fn redis_cluster(mut self, redis: &RedisCluster) -> Self {
        self.redis = Some(RedisServers {
            url: redis.url(),
            addrs: redis.nodes().map(Redis::addr).collect(),
        });
        self
    }

    /// Connects all nodes to Redis through this proxy.
    #[must_use]
    pub fn redis_through(mut self, proxy: &Proxy) -> Self {
        self.redis_route = Some(proxy.addr());
        self
    }

    /// Uses this schema instead of one of the shared server.
    #[must_use]
    pub fn schema(mut self, schema: Schema) -> Self {
        self.schema = Some(schema);
        self
    }

    /// Connects all workers to Postgres through this proxy.
    #[must_use]
    pub fn database_through(mut self, proxy: &Proxy) -> Self {
        self.database_route = Some(proxy.addr());
        self
    }

    /// Sets an environment variable of every node. The last value counts, also over those of the cluster itself, except for the
    /// addresses to listen on.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl ToString) -> Self {
        self.settings.push((None, key.to_owned(), value.to_string()));
        self
    }

    /// Sets an environment variable of every gateway.
    #[must_use]
    pub fn gateway_env(mut self, key: &str, value: impl ToString) -> Self {
        self.settings
            .push((Some(Role::Gateway), key.to_owned(), value.to_string()));
        self
    }

    /// Sets an environment variable of every worker, such as the secrets of platforms.
    #[must_use]
    pub fn worker_env(mut self, key: &str, value: impl ToString) -> Self {
        self.settings
            .push((Some(Role::Worker), key.to_owned(), value.to_string()));
        self
    }

    /// Removes a variable that the cluster sets itself, for use of an alternative one.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        self.left_out.push(key.to_owned());
        self
    }

    /// Migrates the schema, starts all nodes and waits until each is ready.
    pub async fn start(self) -> Cluster {
        let (redis, redis_prefix) = match self.redis {
            // A server of its own has one cluster, so the product's default prefix is used.
            Some(servers) => (servers, "pn".to_owned()),
            None => {
                let (shared, prefix) = (Redis::shared().await, Redis::shared().await.prefix());
                let (url, addrs) = (shared.url(), vec![shared.addr()]);
                (RedisServers { url, addrs }, prefix)
            }
        };
        let schema = match self.schema {
            Some(schema) => schema,
            None => Postgres::shared().await.schema().await,
        };
        let secrets = Secrets::new();
        let authority = Authority::new();
        let (certificate, key) = authority.issue_files("gateway");
        let redis_url = match self.redis_route {
            Some(proxy) => format!("redis://{proxy}"),
            None => redis.url,
        };
        let database_url = schema.url_through(self.database_route.unwrap_or_else(|| schema.addr()));

        let gateway = Some(Role::Gateway);
        let worker = Some(Role::Worker);
        let own = [
            (None, "POSTERN_REDIS_URL", redis_url),
            (None, "POSTERN_REDIS_PREFIX", redis_prefix.clone()),
            (gateway, "POSTERN_INTERNAL_TOKEN", secrets.internal_token.clone()),
            (gateway, "POSTERN_TLS_CERT", certificate.display().to_string()),
            (gateway, "POSTERN_TLS_KEY", key.display().to_string()),
            (
                gateway,
                "POSTERN_JWT_HS256_SECRET",
                secrets.signer.verifier().to_owned(),
            ),
            // Most tests end with open sockets, and only those of drains observe the drain delay and window.
            (gateway, "POSTERN_DRAIN_DELAY", "0s".to_owned()),
            (gateway, "POSTERN_DRAIN_WINDOW", "100ms".to_owned()),
            (worker, "POSTERN_DATABASE_URL", database_url),
            (worker, "POSTERN_VAULT_KEYS", secrets.vault_keys()),
        ];
        let mut settings = own.map(|(kind, key, value)| (kind, key.to_owned(), value)).to_vec();
        settings.retain(|(_, key, _)| !self.left_out.contains(key));
        settings.extend(self.settings);
        let launcher = Launcher::new(self.binary.clone(), Scratch::new("cluster"), settings);
        migrate(&launcher, &self.binary, &schema).await;
        let stores = Stores {
            redis_addrs: redis.addrs,
            redis_prefix,
            schema,
        };
        let mut cluster = Cluster::new(launcher, authority, secrets, stores);
        cluster.start_nodes(self.workers, self.gateways).await;
        cluster
    }
}

/// Runs `postern migrate` of a binary on the schema, with the environment of a worker, as the owner, who grants the workers' role its
/// rights.
pub(super) async fn migrate(launcher: &Launcher, binary: &Path, schema: &Schema) {
    let name = format!("migrate-{}", launcher.next_number());
    let as_owner = [
        ("POSTERN_MIGRATE_DATABASE_URL", &*schema.owner_url()),
        ("POSTERN_MIGRATE_GRANT_TO", WORKER_ROLE),
    ];
    let process = launcher.command(&name, binary, (Role::Worker, "migrate"), &as_owner);
    let status = process.wait(wait::deadline()).await;
    if status != 0 {
        fail(
            "migrate the schema",
            format_args!("postern migrate ended with {status}:\n{}", process.logs()),
        );
    }
}

/// Secrets that only the cluster and its operator may know.
#[derive(Debug)]
pub(super) struct Secrets {
    pub(super) signer: Signer,
    pub(super) internal_token: String,
    vault_key: String,
}

impl Secrets {
    fn new() -> Self {
        let vault_key = STANDARD.encode(random_bytes());
        Self {
            signer: Signer::hs256(),
            internal_token: random_text(),
            vault_key,
        }
    }

    /// Vault keys of the workers.
    pub(super) fn vault_keys(&self) -> String {
        format!("k1:{}", self.vault_key)
    }

    /// Texts that must not be found anywhere.
    pub(super) fn texts(&self) -> [&str; 3] {
        [self.signer.verifier(), &self.internal_token, &self.vault_key]
    }
}
