//! A gateway as a node: settings, build, spawn, drain.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bus::{Bus, BusError, ChannelMessage, SessionKey};
use jwks::{JwksError, JwksRefresher};
use lifecycle::{Clock, Condition, DrainReport, Entropy, Latch, Readiness, Tasks};
use opentelemetry::metrics::Meter;
use protocol::cluster::job::{Lane, Reply};
use protocol::fault::chain;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::command::{Commands, WorkerClient};
use crate::connection::{Connections, Joins};
use crate::deflate::DeflatePool;
use crate::handshake::authenticator::Authenticator;
use crate::handshake::token::TokenVerifier;
use crate::http::Http;
use crate::http::callback::Callbacks;
use crate::http::internal::{self, Internal};
use crate::http::webhook::Webhooks;
use crate::hub::Hub;
use crate::listener::certificate::{CertificateError, Reloader};
use crate::listener::tcp::{IncomingConnection, Listener};
use crate::listener::tls::Tls;
use crate::metrics::Metrics;
use crate::name;
use crate::newcomers::Newcomers;
use crate::presence::Presence;
use crate::session::Sessions;
use crate::settings::Settings;

/// A gateway that is ready to be spawned: its port is bound, its certificate read, the bus is listened to.
pub struct Gateway {
    listener: Listener,
    entrance: Entrance,
    jwks_refresher: Option<JwksRefresher>,
    reloader: Reloader,
    certificate_every: Duration,
    ears: Ears,
    internal: Router,
    readiness: Readiness,
    listening: Latch,
    bus_live: Condition,
    tasks: NodeTasks,
}

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The port cannot be had.
    #[error("listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// The certificate cannot be used.
    #[error("load the certificate")]
    Certificate(#[from] CertificateError),
    /// TLS cannot be set up.
    #[error("set up TLS")]
    Tls(#[source] rustls::Error),
    /// The issuer of keys cannot be asked.
    #[error(transparent)]
    Jwks(#[from] JwksError),
    /// The bus is away.
    #[error("listen to the bus")]
    Bus(#[from] BusError),
}

/// The tasks of a node in two groups: connections end first, and need the core until then.
#[derive(Debug, Clone, Default)]
struct NodeTasks {
    connections: Tasks,
    core: Tasks,
}

/// What the node hears.
struct Ears {
    heard: mpsc::Receiver<ChannelMessage>,
    replies: mpsc::Receiver<Reply>,
    expiries: mpsc::Receiver<SessionKey>,
    hinted: mpsc::Receiver<SessionKey>,
}

/// The way of a client from TCP to its socket.
struct Entrance {
    tls: Tls,
    http: Arc<Http>,
    connections: Arc<Connections>,
    metrics: Arc<Metrics>,
}

impl Gateway {
    /// Binds the port, reads the certificate and listens to the bus. Nothing runs yet.
    ///
    /// # Errors
    /// [`BuildError`], whichever step fails first.
    pub async fn build(
        settings: Settings,
        bus: Arc<dyn Bus>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        meter: &Meter,
    ) -> Result<Self, BuildError> {
        let tasks = NodeTasks::default();
        let metrics = Arc::new(Metrics::new(meter, &tasks.connections));
        let readiness = Readiness::new();

        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let reloader = Reloader::load(
            settings.tls.clone(),
            Arc::clone(&provider),
            Arc::clone(&clock),
            Arc::clone(&metrics),
        )
        .await?;
        let tls = Tls::new(provider, reloader.certificate(), settings.timing.tls).map_err(BuildError::Tls)?;
        let listener = Listener::bind(&settings, Arc::clone(&metrics))
            .map_err(|error| BuildError::Listen(settings.listen, error))?;

        let (tokens, jwks_refresher) = TokenVerifier::new(settings.tokens, &readiness, &entropy, meter)?;
        let node = name::node(&*entropy);
        let (feed, heard) = bus.listen().await?;
        let replies = bus.subscribe_replies(&node).await?;
        let expiries = bus.expiries();
        let hub = Arc::new(Hub::new(Arc::clone(&bus), feed, Arc::clone(&metrics)));
        let workers = Arc::new(WorkerClient::new(Arc::clone(&bus), node));
        let presence = Arc::new(Presence::new(
            Arc::clone(&bus),
            workers.node().clone(),
            settings.max_sockets_per_user,
            Arc::clone(&clock),
            Arc::clone(&entropy),
        ));
        let (hints, hinted) = mpsc::channel(HINTS);
        let sessions = Arc::new(Sessions::new(
            Arc::clone(&bus),
            Arc::clone(&workers),
            hints,
            Arc::clone(&clock),
            Arc::clone(&entropy),
            tasks.connections.clone(),
        ));
        let commands = Arc::new(Commands::new(
            Arc::clone(&bus),
            (Arc::clone(&sessions), Arc::clone(&workers)),
            (settings.timing, settings.command_rate),
            Arc::clone(&entropy),
            tasks.connections.clone(),
            Arc::clone(&metrics),
        ));
        let internal = settings.internal_token.map_or_else(Router::new, |token| {
            internal::router(Internal {
                token,
                bus: Arc::clone(&bus),
                workers: Arc::clone(&workers),
                job_timeout: settings.timing.job_timeout(Lane::Interactive),
                clock: Arc::clone(&clock),
                entropy: Arc::clone(&entropy),
                metrics: Arc::clone(&metrics),
            })
        });
        let callbacks = Callbacks::new(
            Arc::clone(&bus),
            Arc::clone(&workers),
            settings.timing.job_timeout(Lane::Interactive),
            Arc::clone(&entropy),
            Arc::clone(&metrics),
        );
        let webhooks = Webhooks::new(
            Arc::clone(&workers),
            settings.timing.job_timeout(Lane::Webhook),
            Arc::clone(&entropy),
            Arc::clone(&metrics),
        );
        let soft = tasks.connections.soft();
        let connections = Connections {
            heartbeat: settings.heartbeat,
            event_rate: settings.event_rate,
            admission: listener.admission(),
            joins: Joins::new(settings.user_connect_rate, Instant::now()),
            deflation: DeflatePool::new(settings.deflate_threshold),
            batch_interval: settings.batch_interval,
            timing: settings.timing,
            drain_window: settings.drain_window,
            authenticator: Arc::new(Authenticator::new(tokens, Arc::clone(&clock), Arc::clone(&metrics))),
            bus: Arc::clone(&bus),
            hub: Arc::clone(&hub),
            commands,
            newcomers: Arc::new(Newcomers::new(
                bus,
                workers,
                settings.timing.job_timeout(Lane::Interactive),
                Arc::clone(&entropy),
            )),
            sessions,
            presence,
            clock,
            entropy,
            metrics: Arc::clone(&metrics),
            soft: soft.clone(),
        };
        let http = Http::new(
            settings.origins,
            available(hub, soft.clone()),
            (callbacks, webhooks),
            settings.timing,
            soft,
            Arc::clone(&metrics),
        );
        Ok(Self {
            listener,
            entrance: Entrance {
                tls,
                http: Arc::new(http),
                connections: Arc::new(connections),
                metrics: Arc::clone(&metrics),
            },
            jwks_refresher,
            reloader,
            certificate_every: settings.timing.certificate,
            ears: Ears {
                heard,
                replies,
                expiries,
                hinted,
            },
            internal,
            listening: readiness.latch("listener"),
            bus_live: readiness.condition("bus"),
            readiness,
            tasks,
        })
    }

    /// Where clients connect.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Whether the gateway may be sent clients.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// The routes of the internal API, for the internal listener. Without a token there are none.
    pub fn internal_api(&self) -> Router {
        self.internal.clone()
    }

    /// Starts to serve. From here the return value owns every task.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use = "a gateway that nobody drains is cut"]
    pub fn spawn(self) -> Running {
        let NodeTasks { connections, core } = &self.tasks;
        let hub = Arc::clone(&self.entrance.connections.hub);
        let commands = Arc::clone(&self.entrance.connections.commands);
        let [answers_missed, ends_missed] = [(); 2].map(|()| Arc::new(Notify::new()));
        let missed = [Arc::clone(&answers_missed), Arc::clone(&ends_missed)];
        let hears = Arc::clone(&hub).run(self.ears.heard, missed, core.soft());
        core.essential("hub", hears);
        core.essential("tickets", Arc::clone(&hub).keep_tickets(core.soft()));
        core.essential("refusals", Arc::clone(&commands).report_refusals(core.soft()));
        core.essential("answers", commands.run(self.ears.replies, answers_missed, core.soft()));
        let authenticator = Arc::clone(&self.entrance.connections.authenticator);
        let period = self.entrance.connections.timing.token_refusals;
        core.essential("token refusals", authenticator.report_refusals(period, core.soft()));
        let sessions = Arc::clone(&self.entrance.connections.sessions);
        core.essential(
            "sessions",
            sessions.run(self.ears.expiries, self.ears.hinted, ends_missed, core.soft()),
        );
        let presence = Arc::clone(&self.entrance.connections.presence);
        core.essential("presence", presence.run(core.soft()));
        core.essential("bus watch", watch_bus(hub, self.bus_live, core.soft()));
        let reloads = self.reloader.run(self.certificate_every, core.soft());
        core.essential("certificate", reloads);
        if let Some(jwks_refresher) = self.jwks_refresher {
            core.essential("jwks", jwks_refresher.run(core.soft()));
        }

        let newcomers = Arc::clone(&self.entrance.connections.newcomers);
        connections.essential("newcomers", newcomers.run(connections.soft()));
        let entrance = Arc::new(self.entrance);
        let arrivals = connections.clone();
        let accepts = self.listener.run(connections.soft(), move |incoming| {
            let span = tracing::info_span!(
                "connection",
                peer = %incoming.peer,
                conn = tracing::field::Empty,
                user = tracing::field::Empty
            );
            arrivals.each("connection", Arc::clone(&entrance).welcome(incoming).instrument(span));
        });
        connections.essential("listener", accepts);
        self.listening.release();
        Running {
            readiness: self.readiness,
            tasks: self.tasks,
        }
    }
}

impl Entrance {
    /// Takes a client from TCP to the end of its socket, or of its HTTP requests. Each step is boxed: the task of a socket keeps
    /// room for the largest of what it holds inline, for as long as it lives.
    async fn welcome(self: Arc<Self>, incoming: IncomingConnection) {
        let IncomingConnection {
            tcp,
            peer,
            accepted,
            open: _open,
            pending,
        } = incoming;
        let stream = match self.tls.handshake(tcp, &pending).await {
            Ok(stream) => stream,
            Err(error) => {
                self.metrics.refused("tls");
                tracing::debug!(%error, "no TLS connection");
                return;
            }
        };
        let served = Box::pin(Arc::clone(&self.http).serve(stream, peer, accepted)).await;
        match served {
            Ok(Some((stream, upgrade))) => {
                Box::pin(self.connections.serve(stream, upgrade, peer.ip(), pending)).await;
            }
            Ok(None) => {}
            Err(error) => {
                self.metrics.refused(error.label());
                tracing::debug!(error = chain(&error), "no HTTP request");
            }
        }
    }
}

/// A gateway at work.
#[derive(Debug)]
pub struct Running {
    readiness: Readiness,
    tasks: NodeTasks,
}

impl Running {
    /// Resolves with the name of a task without which the gateway cannot go on, when one has ended.
    pub async fn failure(&self) -> &'static str {
        tokio::select! {
            name = self.tasks.connections.failure() => name,
            name = self.tasks.core.failure() => name,
        }
    }

    /// Takes no more clients, answers what is under way, closes the sockets one after the other over the drain window, and ends.
    /// What is left after `within`, which should be longer than the window, is cut. Says what that was.
    pub async fn drain(self, within: Duration) -> DrainReport {
        self.readiness.drain();
        let mut report = self.tasks.connections.drain(within).await;
        for (task, count) in self.tasks.core.drain(CORE_WITHIN).await.cut {
            *report.cut.entry(task).or_default() += count;
        }
        report
    }
}

/// New sockets are taken while events arrive and the node does not drain.
fn available(hub: Arc<Hub>, soft: CancellationToken) -> crate::http::Available {
    Box::new(move || hub.is_live() && !soft.is_cancelled())
}

/// Says in the node's readiness whether events arrive.
async fn watch_bus(hub: Arc<Hub>, live: Condition, soft: CancellationToken) {
    let mut look = interval(LOOK_EVERY);
    loop {
        tokio::select! {
            () = soft.cancelled() => return,
            _ = look.tick() => live.set(hub.is_live()),
        }
    }
}

/// How many sessions may wait to be asked about because this node heard that their end has moved.
const HINTS: usize = 4096;
/// The core has nothing to finish once the connections are gone.
const CORE_WITHIN: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(250);
