//! Cluster with a fault proxy in front of every dependency, a load that uses them all, and Prometheus.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use simulator::{BOT_TOKEN, Simulator};
use testkit::chaos::{Condition, Proxy};
use testkit::cluster::{Builder, Cluster, Member};
use testkit::issuer::{Issuer, IssuerResponse};
use testkit::mail::{MailSecurity, MailServer};
use testkit::otlp::OtlpReceiver;
use testkit::prometheus::{Faster, Prometheus, Target};
use testkit::scratch::Scratch;
use testkit::sms::SmsServer;
use testkit::token::Signer;
use testkit::{Postgres, Redis};
use tokio::task::JoinSet;

use crate::load::Load;
/// Values of the label `dependency`.
pub(super) const DEPENDENCIES: [&str; 9] = [
    "redis",
    "postgres",
    "platform:github",
    "platform:discord",
    "platform:telegram",
    "platform:x_twitter",
    "smtp",
    "sms",
    "jwks",
];

/// Five minutes of a rule are 15 seconds.
pub(super) const FASTER: Faster = Faster {
    factor: 20,
    shortest_range: Duration::from_secs(4),
};

/// Interval of scrapes and of rules.
const INTERVAL: Duration = Duration::from_secs(1);

/// Running cluster, servers, load and Prometheus. They end with this value.
pub(super) struct Stage {
    pub(super) prometheus: Prometheus,
    proxies: BTreeMap<&'static str, Proxy>,
    _load: Load,
    _cluster: Cluster,
    _servers: Servers,
}

/// Servers behind the proxies.
struct Servers {
    redis: Redis,
    postgres: Postgres,
    /// Base URL of the four platforms.
    simulator_url: String,
    _simulator: JoinSet<()>,
    mail: MailServer,
    sms: SmsServer,
    issuer: Issuer,
    signer: Arc<Signer>,
    otlp: OtlpReceiver,
    scratch: Scratch,
}

impl Servers {
    async fn start() -> Self {
        let signer = Arc::new(Signer::es256());
        let simulator = Simulator::bind(([127, 0, 0, 1], 0).into(), 7).await.unwrap();
        let simulator_url = simulator.handle().url().to_owned();
        let mut serving = JoinSet::new();
        serving.spawn(simulator.serve(std::future::pending()));
        Self {
            redis: Redis::start().await,
            postgres: Postgres::start().await,
            simulator_url,
            _simulator: serving,
            mail: MailServer::start(MailSecurity::Plain).await,
            sms: SmsServer::start().await,
            issuer: Issuer::start(IssuerResponse::Keys(vec![signer.jwk(KEY_ID)])).await,
            signer,
            otlp: OtlpReceiver::start().await,
            scratch: Scratch::new("drill"),
        }
    }

    fn addr(&self, dependency: &str) -> SocketAddr {
        match dependency {
            "redis" => self.redis.addr(),
            "postgres" => self.postgres.addr(),
            "smtp" => host(&self.mail.url("")),
            "sms" => host(&self.sms.url()),
            "jwks" => host(&self.issuer.url()),
            _ => host(&self.simulator_url),
        }
    }
}

/// Address in a URL.
fn host(url: &str) -> SocketAddr {
    url.split('/').nth(2).unwrap().parse().unwrap()
}

impl Stage {
    /// Starts it, and waits until the load has used every dependency.
    pub(super) async fn start() -> Self {
        let servers = Box::pin(Servers::start()).await;
        let mut proxies = BTreeMap::new();
        for dependency in DEPENDENCIES {
            proxies.insert(dependency, Proxy::start(servers.addr(dependency)).await);
        }
        let builder = Cluster::builder(env!("CARGO_BIN_EXE_postern"))
            .redis(&servers.redis)
            .redis_through(&proxies["redis"])
            .schema(servers.postgres.schema().await)
            .database_through(&proxies["postgres"]);
        let builder = with_senders_and_issuer(builder, &proxies);
        let builder = with_everything_measured(builder, &servers);
        let builder = with_platforms(builder, &proxies, &servers.simulator_url);
        let cluster = Box::pin(builder.start()).await;
        let prometheus = Prometheus::start(&targets(&cluster), &rules(), INTERVAL).await;
        prometheus.until_scraped().await;
        let load = Load::start(&cluster, &servers.signer);
        load.until_all_succeed().await;
        // Scheduled syncs are minutes apart.
        cluster.schema().sql("UPDATE accounts SET next_sync_at = now()").await;
        Self {
            prometheus,
            proxies,
            _load: load,
            _cluster: cluster,
            _servers: servers,
        }
    }

    /// Puts a dependency into this condition.
    pub(super) fn set_condition(&self, dependency: &str, condition: Condition) {
        self.proxies[dependency].set_condition(condition);
    }

    /// Rules that Prometheus could not evaluate, with its reasons.
    pub(super) async fn refused_rules(&self) -> Vec<String> {
        let rules = self.prometheus.rules().await.into_iter();
        rules
            .filter_map(|rule| Some(format!("rule {}: {}", rule.name, rule.error?)))
            .collect()
    }
}

fn with_senders_and_issuer(builder: Builder, proxies: &BTreeMap<&str, Proxy>) -> Builder {
    builder
        .without("POSTERN_JWT_HS256_SECRET")
        .gateway_env(
            "POSTERN_JWKS_URL",
            format!("http://{}/jwks.json", proxies["jwks"].addr()),
        )
        .gateway_env("POSTERN_JWKS_REFRESH", "1s")
        .worker_env("POSTERN_SMTP_URL", format!("smtp://{}", proxies["smtp"].addr()))
        .worker_env("POSTERN_SMTP_FROM", "Postern <postern@example.org>")
        .worker_env("POSTERN_SMS_URL", format!("http://{}", proxies["sms"].addr()))
        .worker_env("POSTERN_SMS_ACCOUNT", "AC1")
        .worker_env("POSTERN_SMS_TOKEN", "the-token-of-the-sms-account")
        .worker_env("POSTERN_SMS_FROM", "+15550100")
        .worker_env("POSTERN_PUBLIC_URL", PUBLIC_URL)
}

/// Turns on what has metrics of its own: the export of telemetry, and a file of settings that is read again.
fn with_everything_measured(builder: Builder, servers: &Servers) -> Builder {
    let callers = servers.scratch.write("callers.json", "[]");
    builder
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", servers.otlp.url())
        .env("OTEL_METRICS_EXPORTER", "otlp")
        .env("OTEL_TRACES_EXPORTER", "none")
        .env("OTEL_LOGS_EXPORTER", "none")
        .gateway_env("POSTERN_INTERNAL_TOKENS_FILE", callers.display())
}

/// Connects the workers to the simulated platforms, each through its proxy. The issuer of telegram's tokens stays the simulator.
fn with_platforms(mut builder: Builder, proxies: &BTreeMap<&str, Proxy>, simulator: &str) -> Builder {
    let url = |platform: &str| format!("http://{}", proxies[format!("platform:{platform}").as_str()].addr());
    let paths = [
        ("GITHUB_AUTH_URL", url("github"), "/github/login/oauth/authorize"),
        ("GITHUB_TOKEN_URL", url("github"), "/github/login/oauth/access_token"),
        ("GITHUB_API_URL", url("github"), "/github/api"),
        ("DISCORD_AUTH_URL", url("discord"), "/discord/oauth2/authorize"),
        ("DISCORD_TOKEN_URL", url("discord"), "/discord/api/oauth2/token"),
        ("DISCORD_API_URL", url("discord"), "/discord/api/v10"),
        ("TELEGRAM_AUTH_URL", url("telegram"), "/telegram/auth"),
        ("TELEGRAM_TOKEN_URL", url("telegram"), "/telegram/token"),
        ("TELEGRAM_JWKS_URL", url("telegram"), "/telegram/.well-known/jwks.json"),
        ("TELEGRAM_API_URL", url("telegram"), "/telegram"),
        ("TELEGRAM_ISSUER", simulator.to_owned(), "/telegram"),
        ("X_TWITTER_AUTH_URL", url("x_twitter"), "/x_twitter/i/oauth2/authorize"),
        ("X_TWITTER_TOKEN_URL", url("x_twitter"), "/x_twitter/2/oauth2/token"),
        ("X_TWITTER_API_URL", url("x_twitter"), "/x_twitter/2"),
    ];
    for (variable, at, path) in paths {
        builder = builder.worker_env(&format!("POSTERN_{variable}"), at + path);
    }
    for platform in ["GITHUB", "DISCORD", "TELEGRAM", "X_TWITTER"] {
        builder = builder
            .worker_env(&format!("POSTERN_{platform}_CLIENT_ID"), simulator::CLIENT_ID)
            .worker_env(&format!("POSTERN_{platform}_CLIENT_SECRET"), simulator::CLIENT_SECRET);
    }
    builder
        .worker_env("POSTERN_DISCORD_BOT_TOKEN", BOT_TOKEN)
        .worker_env("POSTERN_TELEGRAM_BOT_TOKEN", BOT_TOKEN)
}

/// All nodes, with the labels that the chart's `PodMonitor` gives them.
fn targets(cluster: &Cluster) -> Vec<Target> {
    let target = |member: &Member, pod: &str, component: &str| Target {
        addr: member.health_addr(),
        labels: [
            ("namespace", "drill"),
            ("pod", pod),
            ("container", component),
            ("app_kubernetes_io_component", component),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
    };
    vec![
        target(cluster.gateway(0), "gateway-0", "gateway"),
        target(cluster.gateway(1), "gateway-1", "gateway"),
        target(cluster.worker(0), "worker-0", "worker"),
    ]
}

/// Rule files of the chart, with shorter times.
fn rules() -> Vec<String> {
    let files = files("charts/postern/rules", "yaml");
    files.iter().map(|(_, rules)| FASTER.rules(rules)).collect()
}

/// Names and contents of the files of a folder of the repository that end with this extension.
pub(super) fn files(folder: &str, extension: &str) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(repository().join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|end| end == extension))
        .collect();
    paths.sort();
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    paths
        .iter()
        .map(|path| (name(path), std::fs::read_to_string(path).unwrap()))
        .collect()
}

pub(super) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Id of the issuer's key.
pub(super) const KEY_ID: &str = "drill";

/// Public URL of the gateways, which no browser opens here.
const PUBLIC_URL: &str = "https://postern.example";
