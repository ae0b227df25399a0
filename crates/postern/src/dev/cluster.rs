//! Dev cluster: simulator, worker and two gateways in one process, each with its own tasks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, MemoryBus, RedisSettings};
use futures_util::future::select_all;
use gateway::{
    Gateway, InternalApiSettings, InternalCallers, Origins, TlsSettings, TokenKey, TokenKeys, TokenLimits,
    TokenSettings,
};
use lifecycle::{DrainReport, Reloadable, Tasks};
use platforms::{
    BotSettings, Discord, DiscordBot, Github, Http, Telegram, TelegramBot, TelegramSettings, Timeouts, XTwitter,
};
use protocol::secret::Secret;
use simulator::{BindError, Simulator};
use store::vault::{Vault, VaultKeys};
use store::{MemoryStore, PgStore, RetentionTimes, Store};
use tracing::{Instrument, Span};
use url::{ParseError, Url};
use worker::{ConnectState, JobConcurrency, RedirectPolicy, SessionTimes, Worker};

use super::dir;
use super::identity::{Identity, IdentityError};
use super::port::first_free;
use super::ready::{self, Ready};
use crate::cli::DevArgs;
use crate::config::ConfigError;
use crate::node::{Handler, HttpListener, ListenerKind, NodeRuntime, StartError};

/// Failure to start `postern dev`.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// The directory with certificate and secrets cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Invalid `--redis-url` or `--database-url`.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Migrating the given database failed.
    #[error("migrate the database")]
    Migrate(#[source] store::SetupError),
    /// The simulator did not start.
    #[error("start the simulator")]
    Simulator(#[from] BindError),
    /// The stored vault key is invalid.
    #[error("the vault key in --dir")]
    VaultKey(#[from] store::vault::VaultKeysError),
    /// The stored token secret is invalid.
    #[error("the token secret in --dir")]
    TokenKey(#[from] gateway::InvalidKey),
    /// The address of the simulator or a gateway is not a URL.
    #[error("parse the addresses of simulator and gateways")]
    Address(#[from] ParseError),
    /// A node did not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Running dev cluster.
pub(crate) struct Cluster {
    /// Gateways, each with the span in which it logs.
    gateways: Vec<(gateway::Running, Span)>,
    worker: (worker::Running, Span),
    simulator: Tasks,
    ready: Ready,
}

impl Cluster {
    /// Starts all nodes and waits until they are ready.
    ///
    /// # Errors
    /// [`DevError`].
    pub(crate) async fn start(args: DevArgs, runtime: &NodeRuntime) -> Result<Self, DevError> {
        let identity = Identity::open_or_make(&dir::resolve(&args.dir), &*runtime.clock, &*runtime.entropy)?;
        let keys = VaultKeys::parse(&identity.vault_keys()?)?;
        let parts = Parts::open(&args, &keys, runtime).await?;
        let bind = async |address| Simulator::bind(address, runtime.entropy.u64()).await;
        let simulator = first_free(SIMULATOR_PORT, bind).await?;
        let simulator_url = simulator.url().to_owned();
        let simulator_tasks = Tasks::new();
        let stop = simulator_tasks.soft();
        simulator_tasks.essential("simulator", simulator.serve(stop.cancelled_owned()));

        let mut readiness = Vec::new();
        let (mut running, mut gateways, mut health, mut internal) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..GATEWAYS {
            // Of each attempt: a taken port leaves parts in the readiness that never become ready.
            let bind = async |address| {
                let node = runtime.beside("gateway");
                let gateway = parts.gateway(address, &identity, &node);
                let gateway = Box::pin(gateway.instrument(node.identity.span())).await?;
                Ok::<_, DevError>((gateway, node))
            };
            let (gateway, node) = first_free(GATEWAY_PORT, bind).await?;
            let span = node.identity.span();
            gateways.push(ready::https(gateway.local_addr()));
            readiness.push(gateway.readiness());
            let bind = |address| HttpListener::bind(ListenerKind::Health, address);
            let listener = first_free(HEALTH_PORT, bind).await.map_err(StartError::from)?;
            health.push(ready::http(listener.address()));
            runtime.serve_health_of(&node, listener);
            if let Some(api) = gateway.internal_api() {
                let bind = |address| HttpListener::bind(ListenerKind::Internal, address);
                let listener = first_free(INTERNAL_PORT, bind).await.map_err(StartError::from)?;
                internal.push(ready::http(listener.address()));
                span.in_scope(|| listener.serve(Handler::Internal(api), &runtime.tasks.with_current_span()));
            }
            running.push((span.in_scope(|| gateway.spawn()), span));
        }
        let public_urls = public_urls(&gateways)?;
        let node = runtime.beside("worker");
        let span = node.identity.span();
        let worker = parts.worker(&simulator_url, &public_urls, keys, &node);
        let worker = Box::pin(worker.instrument(span.clone())).await?;
        readiness.push(node.readiness.clone());
        let worker = (span.in_scope(|| worker.spawn()), span);
        for node in &readiness {
            node.ready().await;
        }

        let ready = Ready {
            ready: true,
            gateways,
            health,
            internal,
            simulator: simulator_url,
            internal_token: identity.internal_token()?,
            ca: identity.ca(),
            jwt_secret: identity.jwt_secret()?,
            dir: identity.dir().to_owned(),
            public_urls,
            allowed_origins: args.allowed_origins,
        };
        identity.save(&identity.ready_file(), &ready.saved())?;
        Ok(Self {
            gateways: running,
            worker,
            simulator: simulator_tasks,
            ready,
        })
    }

    /// Addresses and secrets of the cluster.
    #[must_use]
    pub(crate) fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Resolves when an essential task of any node ends.
    pub(crate) async fn failure(&self) -> &'static str {
        let gateways = select_all(self.gateways.iter().map(|(gateway, _)| Box::pin(gateway.failure())));
        tokio::select! {
            (task, ..) = gateways => task,
            task = self.worker.0.failure() => task,
            task = self.simulator.failure() => task,
        }
    }

    /// Drains the gateways, then the worker, then the simulator.
    pub(crate) async fn drain(self) -> DrainReport {
        for (gateway, span) in self.gateways {
            gateway.drain(DRAIN_WITHIN).instrument(span).await;
        }
        let (worker, span) = self.worker;
        worker.drain(DRAIN_WITHIN).instrument(span).await;
        self.simulator.drain(DRAIN_WITHIN).await
    }
}

const GATEWAYS: usize = 2;

/// Default ports of `postern dev`; the next free one is used instead of a taken one.
const GATEWAY_PORT: u16 = 8443;
const HEALTH_PORT: u16 = 9090;
const INTERNAL_PORT: u16 = 9091;
const SIMULATOR_PORT: u16 = 9100;

/// Drain window, short and without a drain delay before it, as Ctrl-C should end the cluster at once.
const DRAIN_WINDOW: Duration = Duration::from_millis(200);
const DRAIN_WITHIN: Duration = Duration::from_secs(3);

/// Bus and store of the nodes of a dev cluster.
struct Parts {
    bus: DevBus,
    store: Arc<dyn Store>,
    origins: Origins,
}

/// Bus of a dev cluster: shared in memory, or a Redis with connections per node.
enum DevBus {
    Memory(MemoryBus),
    Redis(RedisSettings),
}

impl Parts {
    async fn open(args: &DevArgs, keys: &VaultKeys, runtime: &NodeRuntime) -> Result<Self, DevError> {
        let origins = args.origins()?;
        let bus = match args.redis()? {
            None => DevBus::Memory(MemoryBus::new(Arc::clone(&runtime.entropy))),
            Some(settings) => DevBus::Redis(settings),
        };
        let store: Arc<dyn Store> = match args.postgres()? {
            None => Arc::new(MemoryStore::new(Arc::clone(&runtime.clock), keys.audit_keys())),
            Some(settings) => {
                store::migrate(&settings, &[]).await.map_err(DevError::Migrate)?;
                Arc::new(
                    PgStore::connect(&settings, keys.audit_keys(), &runtime.metrics.meter())
                        .await
                        .map_err(StartError::from)?,
                )
            }
        };
        Ok(Self { bus, store, origins })
    }

    async fn worker(
        &self,
        simulator: &str,
        public_urls: &[Url],
        keys: VaultKeys,
        runtime: &NodeRuntime,
    ) -> Result<Worker, DevError> {
        let http = Http::new(Timeouts::default()).map_err(StartError::from)?;
        let http = http.reporting_to(runtime.dependencies.clone());
        let http = http.metered(&runtime.metrics.meter());
        let github = Github::new(simulated_github(simulator)?, http.clone()).map_err(StartError::from)?;
        let discord = Discord::new(simulated_discord(simulator)?, http.clone()).map_err(StartError::from)?;
        let x_twitter = XTwitter::new(simulated_x_twitter(simulator)?, http.clone()).map_err(StartError::from)?;
        let telegram = Telegram::new(simulated_telegram(simulator)?, http.clone(), Arc::clone(&runtime.clock));
        let telegram = telegram.map_err(StartError::from)?;
        let bot = simulated_bot(&format!("{simulator}/discord/api/v10"))?;
        let discord_bot = DiscordBot::new(bot, http.clone()).map_err(StartError::from)?;
        let bot = simulated_bot(&format!("{simulator}/telegram"))?;
        let telegram_bot = TelegramBot::new(bot, http, Arc::clone(&runtime.clock)).map_err(StartError::from)?;
        let parts = worker::Parts {
            id: runtime.identity.worker(),
            bus: worker::BusRoles::of(self.bus(runtime).await?),
            store: worker::StoreRoles::of(Arc::clone(&self.store)),
            vault: Arc::new(Vault::new(keys, Arc::clone(&runtime.entropy))),
            platforms: vec![
                Arc::new(github),
                Arc::new(discord),
                Arc::new(x_twitter),
                Arc::new(telegram),
            ],
            inboxes: vec![Arc::new(discord_bot), Arc::new(telegram_bot)],
            hooks: Vec::new(),
            message_senders: worker::MessageSenders::default(),
            clock: Arc::clone(&runtime.clock),
            entropy: Arc::clone(&runtime.entropy),
        };
        let settings = worker::Settings {
            concurrency: JobConcurrency::default(),
            redirects: RedirectPolicy::standard(public_urls),
            connect_state: ConnectState::Optional,
            sessions: SessionTimes::default(),
            retention: RetentionTimes::default(),
            dangerous_repeatable_codes: Some("test_code_".to_owned()),
        };
        let meter = runtime.metrics.meter();
        Ok(Worker::build(settings, parts, runtime.readiness.clone(), &meter))
    }

    async fn gateway(
        &self,
        listen: SocketAddr,
        identity: &Identity,
        runtime: &NodeRuntime,
    ) -> Result<Gateway, DevError> {
        let bus = self.bus(runtime).await?;
        let tls = TlsSettings {
            certificate: identity.certificate(),
            key: identity.key(),
        };
        let key = TokenKey::hs256(&identity.jwt_secret()?)?;
        let tokens = TokenSettings {
            keys: TokenKeys::fixed(key),
            issuer: None,
            audience: None,
            limits: TokenLimits::default(),
        };
        let internal_api = InternalApiSettings {
            callers: Reloadable::new(InternalCallers::default().with_single_token(&identity.internal_token()?)),
            tls: None,
        };
        let settings = gateway::Settings {
            node: Some(runtime.identity.gateway()),
            origins: self.origins.clone(),
            drain_delay: Duration::ZERO,
            drain_window: DRAIN_WINDOW,
            internal_api: Some(internal_api),
            ..gateway::Settings::new(listen, tls, tokens)
        };
        let gateway = Gateway::build(settings, bus, runtime.for_gateway()).await;
        Ok(gateway.map_err(StartError::from)?)
    }

    async fn bus(&self, runtime: &NodeRuntime) -> Result<Arc<dyn Bus>, DevError> {
        Ok(match &self.bus {
            DevBus::Memory(bus) => Arc::new(bus.clone()),
            DevBus::Redis(settings) => Arc::new(runtime.redis(settings).await.map_err(StartError::from)?),
        })
    }
}

/// URLs under which browsers reach the hosted callbacks: each gateway by its address and as `localhost`.
fn public_urls(gateways: &[String]) -> Result<Vec<Url>, ParseError> {
    let mut urls = Vec::new();
    for gateway in gateways {
        let by_address = Url::parse(gateway)?;
        let mut by_name = by_address.clone();
        by_name.set_host(Some("localhost"))?;
        urls.extend([by_address, by_name]);
    }
    Ok(urls)
}

/// Settings of the simulated Telegram.
fn simulated_telegram(base: &str) -> Result<TelegramSettings, ParseError> {
    let issuer = format!("{base}/telegram");
    Ok(TelegramSettings {
        oauth: simulated(&issuer, ["auth", "token", ""])?,
        jwks_url: Url::parse(&format!("{issuer}/.well-known/jwks.json"))?,
        issuer,
        bot_token: Some(Secret::new(simulator::BOT_TOKEN)),
    })
}

/// Settings of the simulator's bot, which has the same token on all platforms.
fn simulated_bot(api: &str) -> Result<BotSettings, ParseError> {
    Ok(BotSettings {
        token: Secret::new(simulator::BOT_TOKEN),
        api_url: Url::parse(api)?,
    })
}

/// Settings of the simulated GitHub.
fn simulated_github(base: &str) -> Result<platforms::Settings, ParseError> {
    let paths = ["login/oauth/authorize", "login/oauth/access_token", "api"];
    simulated(&format!("{base}/github"), paths)
}

/// Settings of the simulated Discord.
fn simulated_discord(base: &str) -> Result<platforms::Settings, ParseError> {
    let paths = ["oauth2/authorize", "api/oauth2/token", "api/v10"];
    simulated(&format!("{base}/discord"), paths)
}

/// Settings of the simulated X.
fn simulated_x_twitter(base: &str) -> Result<platforms::Settings, ParseError> {
    let paths = ["i/oauth2/authorize", "2/oauth2/token", "2"];
    simulated(&format!("{base}/x_twitter"), paths)
}

/// Settings of the simulator's application, with these paths for authorization, tokens and API.
fn simulated(base: &str, [authorize, token, api]: [&str; 3]) -> Result<platforms::Settings, ParseError> {
    let url = |path: &str| Url::parse(&format!("{base}/{path}"));
    Ok(platforms::Settings {
        client_id: simulator::CLIENT_ID.to_owned(),
        client_secret: Secret::new(simulator::CLIENT_SECRET),
        authorize_url: url(authorize)?,
        token_url: url(token)?,
        api_url: url(api)?,
        revoke_url: None,
    })
}
