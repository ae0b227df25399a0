//! `postern worker`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use platforms::{
    BotInbox, BotSettings, Discord, DiscordBot, Github, Http, Platform, Settings, Telegram, TelegramBot,
    TelegramSettings, Timeouts, XTwitter,
};
use store::PgStore;
use store::vault::Vault;
use worker::{EmailSender, EmailSettings, MessageSenders, Parts, SmsSender, SmsSettings, Worker};

use super::{Ground, Internal, StartError};
use crate::config::WorkerNode;

/// Runs a worker until it is told to stop.
///
/// # Errors
/// When it cannot start.
pub(crate) async fn worker(node: WorkerNode) -> Result<ExitCode, StartError> {
    let ground = Ground::new("worker");
    let meter = ground.metrics.meter();
    let bus = Arc::new(ground.redis(&node.redis, &meter).await?);
    let store = PgStore::connect(&node.database, node.vault_keys.audit_keys(), &meter).await?;
    let vault = Vault::new(node.vault_keys, Arc::clone(&ground.entropy));
    let http = Http::new(Timeouts::default())?;
    let parts = Parts {
        bus,
        store: Arc::new(store),
        vault: Arc::new(vault),
        platforms: offered(
            [node.github, node.discord, node.x_twitter],
            node.telegram,
            &http,
            &ground,
        )?,
        inboxes: inboxes(node.discord_bot, node.telegram_bot, &http, &ground)?,
        hooks: node.hooks.into_iter().map(Arc::new).collect(),
        message_senders: message_senders(node.email, node.sms, &ground)?,
        clock: Arc::clone(&ground.clock),
        entropy: Arc::clone(&ground.entropy),
    };
    let worker = Worker::build(node.worker, parts, &meter);
    let internal = Internal::bind(node.internal_listen).await?;
    tracing::info!(internal = %internal.address(), "worker started");

    internal.serve(
        telemetry::health::router(worker.readiness(), ground.metrics.clone()),
        &ground.tasks,
    );
    let running = worker.spawn();
    let ending = ground.until_stopped(running.failure()).await?;
    ending.log();
    let report = running.drain(DRAIN_WITHIN).await;
    Ok(ground.leave(ending, &report).await)
}

/// The platforms that the operator has given credentials for.
fn offered(
    [github, discord, x_twitter]: [Option<Settings>; 3],
    telegram: Option<TelegramSettings>,
    http: &Http,
    ground: &Ground,
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
        let clock = Arc::clone(&ground.clock);
        platforms.push(Arc::new(Telegram::new(settings, http.clone(), clock)?));
    }
    Ok(platforms)
}

/// The bots whose inboxes the operator wants read.
fn inboxes(
    discord: Option<BotSettings>,
    telegram: Option<BotSettings>,
    http: &Http,
    ground: &Ground,
) -> Result<Vec<Arc<dyn BotInbox>>, StartError> {
    let mut inboxes: Vec<Arc<dyn BotInbox>> = Vec::new();
    if let Some(settings) = discord {
        inboxes.push(Arc::new(DiscordBot::new(settings, http.clone())?));
    }
    if let Some(settings) = telegram {
        inboxes.push(Arc::new(TelegramBot::new(
            settings,
            http.clone(),
            Arc::clone(&ground.clock),
        )?));
    }
    Ok(inboxes)
}

/// What carries codes, as far as the operator has said where to.
fn message_senders(
    email: Option<EmailSettings>,
    sms: Option<SmsSettings>,
    ground: &Ground,
) -> Result<MessageSenders, StartError> {
    let email =
        email.map(|settings| EmailSender::new(settings, Arc::clone(&ground.clock), Arc::clone(&ground.entropy)));
    Ok(MessageSenders {
        email: email.transpose()?,
        sms: sms.map(SmsSender::new).transpose()?,
    })
}

/// A little more than the longest lane's patience: what was claimed is finished.
const DRAIN_WITHIN: Duration = Duration::from_secs(32);
