//! Nodes of a dev cluster: their bus, their store, and how each is built.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bus::{Bus, MemoryBus, RedisSettings};
use gateway::{
    Gateway, InternalApiSettings, InternalCallers, Origins, TlsSettings, TokenKey, TokenKeys, TokenLimits,
    TokenSettings,
};
use lifecycle::Reloadable;
use platforms::{Discord, DiscordBot, Github, Http, Telegram, TelegramBot, Timeouts, XTwitter};
use store::vault::{Vault, VaultKeys};
use store::{MemoryStore, PgStore, RetentionTimes, Store};
use url::Url;
use worker::{AppWebhookClient, ConnectState, JobConcurrency, RedirectPolicy, SessionTimes, Worker};

use super::error::DevError;
use super::identity::Identity;
use super::simulated;
use crate::cli::DevArgs;
use crate::node::{NodeRuntime, StartError};

/// Bus, store and settings of the nodes of a dev cluster, by which each of them is built.
pub(super) struct Nodes {
    pub(super) identity: Identity,
    pub(super) store: Arc<dyn Store>,
    bus: DevBus,
    origins: Origins,
    sessions: SessionTimes,
    app_webhooks: Option<AppWebhookClient>,
}

/// Bus of a dev cluster: shared in memory, or a Redis with connections per node.
enum DevBus {
    Memory(MemoryBus),
    Redis(RedisSettings),
}

impl Nodes {
    /// Opens bus and store.
    ///
    /// # Errors
    /// [`DevError`].
    pub(super) async fn open(
        args: &DevArgs,
        identity: Identity,
        keys: &VaultKeys,
        runtime: &NodeRuntime,
    ) -> Result<Self, DevError> {
        let (origins, sessions) = (args.origins()?, args.session_times()?);
        let (webhook_types, receiver) = args.app_webhooks()?;
        let app_webhooks = receiver.map(AppWebhookClient::new).transpose();
        let app_webhooks = app_webhooks.map_err(StartError::from)?;
        let bus = match args.redis()? {
            None => DevBus::Memory(MemoryBus::new(Arc::clone(&runtime.entropy))),
            Some(settings) => DevBus::Redis(settings),
        };
        let store: Arc<dyn Store> = match args.postgres()? {
            None => {
                let store = MemoryStore::new(Arc::clone(&runtime.clock), keys.audit_keys());
                Arc::new(store.queueing_app_webhooks(&webhook_types))
            }
            Some(settings) => {
                let settings = settings.queueing_app_webhooks(&webhook_types);
                store::migrate(&settings, &[]).await.map_err(DevError::Migrate)?;
                Arc::new(
                    PgStore::connect(&settings, keys.audit_keys(), &runtime.metrics.meter())
                        .await
                        .map_err(StartError::from)?,
                )
            }
        };
        Ok(Self {
            identity,
            store,
            bus,
            origins,
            sessions,
            app_webhooks,
        })
    }

    /// Builds a worker.
    ///
    /// # Errors
    /// [`DevError`].
    pub(super) async fn worker(
        &self,
        simulator: &str,
        public_urls: &[Url],
        keys: VaultKeys,
        runtime: &NodeRuntime,
    ) -> Result<Worker, DevError> {
        let http = Http::new(Timeouts::default()).map_err(StartError::from)?;
        let http = http.reporting_to(runtime.dependencies.clone());
        let http = http.metered(&runtime.metrics.meter());
        let github = Github::new(simulated::github(simulator)?, http.clone()).map_err(StartError::from)?;
        let discord = Discord::new(simulated::discord(simulator)?, http.clone()).map_err(StartError::from)?;
        let x_twitter = XTwitter::new(simulated::x_twitter(simulator)?, http.clone()).map_err(StartError::from)?;
        let telegram = Telegram::new(
            simulated::telegram(simulator)?,
            http.clone(),
            Arc::clone(&runtime.clock),
        );
        let telegram = telegram.map_err(StartError::from)?;
        let bot = simulated::bot(&format!("{simulator}/discord/api/v10"))?;
        let discord_bot = DiscordBot::new(bot, http.clone()).map_err(StartError::from)?;
        let bot = simulated::bot(&format!("{simulator}/telegram"))?;
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
            app_webhooks: self.app_webhooks.clone(),
            clock: Arc::clone(&runtime.clock),
            entropy: Arc::clone(&runtime.entropy),
        };
        let settings = worker::Settings {
            concurrency: JobConcurrency::default(),
            redirects: RedirectPolicy::standard(public_urls),
            connect_state: ConnectState::Optional,
            sessions: self.sessions,
            retention: RetentionTimes::default(),
            dangerous_repeatable_codes: Some("test_code_".to_owned()),
        };
        let meter = runtime.metrics.meter();
        Ok(Worker::build(settings, parts, runtime.readiness.clone(), &meter))
    }

    /// Builds a gateway on this address, with further routes of its public port.
    ///
    /// # Errors
    /// [`DevError`].
    pub(super) async fn gateway(
        &self,
        listen: SocketAddr,
        further_routes: Router,
        runtime: &NodeRuntime,
    ) -> Result<Gateway, DevError> {
        let (bus, identity) = (self.bus(runtime).await?, &self.identity);
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
            further_routes,
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

/// Drain window, short and without a drain delay before it, as Ctrl-C should end the cluster at once.
const DRAIN_WINDOW: Duration = Duration::from_millis(200);
