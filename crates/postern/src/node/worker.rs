//! `postern worker`.

use std::future::ready;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use platforms::{
    BotInbox, BotSettings, Discord, DiscordBot, Github, Http, Platform, Settings, Telegram, TelegramBot,
    TelegramSettings, Timeouts, XTwitter,
};
use protocol::fault::chain;
use protocol::secret::Secret;
use store::vault::{AuditKeys, Vault, VaultKeys};
use store::{PgStore, check_key_change};
use telemetry::export::Exports;
use tracing::Instrument;
use worker::{
    AppWebhookClient, BusRoles, EmailSender, EmailSettings, MessageSenders, Parts, SmsSender, SmsSettings, StoreRoles,
    Worker,
};

use super::{HttpListener, ListenerKind, NodeRuntime, StartError, StopSignals};
use crate::config::WorkerNode;

/// Runs a worker until it stops. Until Redis and Postgres are there, it is live and not ready.
///
/// # Errors
/// [`StartError`].
pub(crate) async fn worker(node: WorkerNode, exports: &Exports) -> Result<ExitCode, StartError> {
    let runtime = NodeRuntime::new("worker", exports);
    let mut signals = StopSignals::install()?;
    let span = runtime.identity.span();
    Box::pin(run(node, runtime, &mut signals)).instrument(span).await
}

async fn run(node: WorkerNode, runtime: NodeRuntime, signals: &mut StopSignals) -> Result<ExitCode, StartError> {
    let mut reloads = runtime.reloads(&node.redis, node.redis_files);
    let database = node.database.clone();
    reloads.watch(node.database_file, move |text| {
        ready(database.replace_credentials(&text))
    });
    let app_webhooks = node.app_webhooks.clone().map(AppWebhookClient::new).transpose()?;
    if let Some(settings) = node.app_webhooks {
        reloads.watch(node.app_webhook_file, move |text| {
            ready(settings.replace_secrets(&text))
        });
    }
    let http = Http::new(Timeouts::default())?
        .metered(&runtime.metrics.meter())
        .reporting_to(runtime.dependencies.clone());
    let platforms = offered(
        [node.github, node.discord, node.x_twitter],
        node.telegram,
        &http,
        &runtime,
    )?;
    let inboxes = inboxes(node.discord_bot, node.telegram_bot, &http, &runtime)?;
    let message_senders = message_senders(node.email, node.sms, &runtime)?;
    let reached = ["redis", "postgres"].map(|name| runtime.readiness.latch(name));
    let health = HttpListener::bind(ListenerKind::Health, node.health_listen).await?;
    tracing::info!(health = %health.address(), "worker starts");
    runtime.serve_health(health);

    let (redis, database, audit) = (node.redis, node.database, node.vault_keys.audit_keys());
    let connect = async { tokio::try_join!(runtime.reach_redis(&redis), runtime.reach_postgres(&database, &audit)) };
    let Some((bus, store)) = runtime.unless_stopped(signals, Box::pin(connect)).await? else {
        return Ok(runtime.finish_start().await);
    };
    let store = Arc::new(store);
    let vault = Arc::new(Vault::new(node.vault_keys, Arc::clone(&runtime.entropy)));
    let vault_reload = VaultReload {
        store: Arc::clone(&store),
        vault: Arc::clone(&vault),
        audit,
    };
    reloads.watch(node.vault_file, move |text| vault_reload.clone().apply(text));
    reloads.observe(&runtime.metrics.meter());
    let parts = Parts {
        id: runtime.identity.worker(),
        bus: BusRoles::of(Arc::new(bus)),
        store: StoreRoles::of(store),
        vault,
        platforms,
        inboxes,
        hooks: node.hooks.into_iter().map(Arc::new).collect(),
        message_senders,
        app_webhooks,
        clock: Arc::clone(&runtime.clock),
        entropy: Arc::clone(&runtime.entropy),
    };
    let worker = Worker::build(node.worker, parts, runtime.readiness.clone(), &runtime.metrics.meter());
    for latch in reached {
        latch.release();
    }
    tracing::info!("worker started");
    let running = worker.spawn();
    let reason = runtime.until_stopped(signals, running.failure()).await;
    reason.log();
    let report = running.drain(DRAIN_WITHIN).await;
    Ok(runtime.finish(reason, &report).await)
}

/// Replacement of the vault keys of a running worker.
#[derive(Clone)]
struct VaultReload {
    store: Arc<PgStore>,
    vault: Arc<Vault>,
    audit: AuditKeys,
}

impl VaultReload {
    async fn apply(self, text: Secret) -> Result<(), String> {
        let keys = VaultKeys::parse(&text).map_err(|error| error.to_string())?;
        let checked = check_key_change(&*self.store, &self.vault.keys(), &keys).await;
        checked.map_err(|error| chain(&error))?;
        self.audit.replace(&keys.audit_keys());
        self.vault.replace_keys(keys);
        tracing::info!(key = self.vault.encryption_key(), "vault key in use");
        Ok(())
    }
}

/// Platforms with configured credentials.
fn offered(
    [github, discord, x_twitter]: [Option<Settings>; 3],
    telegram: Option<TelegramSettings>,
    http: &Http,
    runtime: &NodeRuntime,
) -> Result<Vec<Arc<dyn Platform>>, StartError> {
    let mut platforms: Vec<Arc<dyn Platform>> = Vec::new();
    if let Some(settings) = github {
        platforms.push(Arc::new(Github::new(settings, http.clone())?));
    }
    if let Some(settings) = discord {
        platforms.push(Arc::new(Discord::new(settings, http.clone())?));
    }
    if let Some(settings) = x_twitter {
        platforms.push(Arc::new(XTwitter::new(settings, http.clone())?));
    }
    if let Some(settings) = telegram {
        let clock = Arc::clone(&runtime.clock);
        platforms.push(Arc::new(Telegram::new(settings, http.clone(), clock)?));
    }
    Ok(platforms)
}

/// Inboxes of the configured bots.
fn inboxes(
    discord: Option<BotSettings>,
    telegram: Option<BotSettings>,
    http: &Http,
    runtime: &NodeRuntime,
) -> Result<Vec<Arc<dyn BotInbox>>, StartError> {
    let mut inboxes: Vec<Arc<dyn BotInbox>> = Vec::new();
    if let Some(settings) = discord {
        inboxes.push(Arc::new(DiscordBot::new(settings, http.clone())?));
    }
    if let Some(settings) = telegram {
        inboxes.push(Arc::new(TelegramBot::new(
            settings,
            http.clone(),
            Arc::clone(&runtime.clock),
        )?));
    }
    Ok(inboxes)
}

/// Configured senders of codes.
fn message_senders(
    email: Option<EmailSettings>,
    sms: Option<SmsSettings>,
    runtime: &NodeRuntime,
) -> Result<MessageSenders, StartError> {
    let email =
        email.map(|settings| EmailSender::new(settings, Arc::clone(&runtime.clock), Arc::clone(&runtime.entropy)));
    let (email, sms) = (email.transpose()?, sms.map(SmsSender::new).transpose()?);
    Ok(MessageSenders::new(email, sms, &runtime.dependencies))
}

/// Drain timeout, a little above the longest deadline of a lane, so that claimed jobs finish.
const DRAIN_WITHIN: Duration = Duration::from_secs(32);

#[cfg(test)]
mod tests {
    use protocol::cluster::job::Lane;

    use super::*;

    #[test]
    fn drain_outlasts_the_longest_job() {
        for lane in Lane::ALL {
            assert!(lane.job_timeout() < DRAIN_WITHIN, "{lane:?}");
        }
    }
}
