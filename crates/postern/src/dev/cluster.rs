//! Dev cluster: simulator, worker and two gateways in one process, each with its own tasks, and the demo on the gateways' public ports.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use lifecycle::{DrainReport, Tasks};
use simulator::Simulator;
use store::vault::VaultKeys;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tracing::{Instrument, Span};
use url::{ParseError, Url};

use super::demo::{ClusterView, Demo, GatewayView, KillRequest};
use super::dir;
use super::error::DevError;
use super::gateway_slot::{AWAY, GatewaySlot};
use super::identity::Identity;
use super::nodes::Nodes;
use super::port::first_free;
use super::ready::{self, Ready};
use crate::cli::DevArgs;
use crate::node::NodeRuntime;

/// Running dev cluster.
pub(crate) struct Cluster {
    nodes: Nodes,
    gateways: Vec<GatewaySlot>,
    /// Worker, with the span in which it logs.
    worker: (worker::Running, Span),
    simulator: Tasks,
    view: watch::Sender<ClusterView>,
    kills: mpsc::Receiver<KillRequest>,
    ready: Ready,
}

/// Work of the supervision of a cluster.
enum Duty {
    Kill(KillRequest),
    /// Starts a gateway in place of a killed one.
    Restart(usize),
}

impl Cluster {
    /// Starts all nodes and waits until they are ready.
    ///
    /// # Errors
    /// [`DevError`].
    pub(crate) async fn start(args: DevArgs, runtime: &NodeRuntime) -> Result<Self, DevError> {
        let identity = Identity::open_or_make(&dir::resolve(&args.dir), &*runtime.clock, &*runtime.entropy)?;
        let keys = VaultKeys::parse(&identity.vault_keys()?)?;
        let nodes = Nodes::open(&args, identity, &keys, runtime).await?;
        let bind = async |address| Simulator::bind(address, runtime.entropy.u64()).await;
        let simulator = first_free(SIMULATOR_PORT, bind).await?;
        let (view, view_of_demo) = watch::channel(ClusterView::default());
        let (kill_requests, kills) = mpsc::channel(1);
        let demo = Arc::new(Demo {
            cluster: view_of_demo,
            kills: kill_requests,
            away: AWAY,
            simulator: simulator.handle(),
            store: Arc::clone(&nodes.store),
            jwt_secret: nodes.identity.jwt_secret()?,
            internal_token: nodes.identity.internal_token()?,
            clock: Arc::clone(&runtime.clock),
            entropy: Arc::clone(&runtime.entropy),
        });
        let simulator_url = simulator.url().to_owned();
        let simulator_tasks = Tasks::new();
        let stop = simulator_tasks.soft();
        simulator_tasks.essential("simulator", simulator.serve(stop.cancelled_owned()));

        let mut gateways = Vec::new();
        for index in 0..GATEWAYS {
            gateways.push(Box::pin(GatewaySlot::start(&nodes, Demo::routes(&demo, index), runtime)).await?);
        }
        let public_urls = public_urls(&gateways)?;
        view.send_replace(cluster_view(&gateways, &public_urls));
        let node = runtime.beside("worker");
        let span = node.identity.span();
        let worker = nodes.worker(&simulator_url, &public_urls, keys, &node);
        let worker = Box::pin(worker.instrument(span.clone())).await?;
        let mut readiness: Vec<_> = gateways.iter().filter_map(GatewaySlot::readiness).collect();
        readiness.push(node.readiness.clone());
        let worker = (span.in_scope(|| worker.spawn()), span);
        for node in &readiness {
            node.ready().await;
        }

        let ready = ready_output(&nodes, &gateways, (simulator_url, public_urls), args.allowed_origins)?;
        nodes.identity.save(&nodes.identity.ready_file(), &ready.saved())?;
        Ok(Self {
            nodes,
            gateways,
            worker,
            simulator: simulator_tasks,
            view,
            kills,
            ready,
        })
    }

    /// Addresses and secrets of the cluster.
    #[must_use]
    pub(crate) fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Kills and replaces gateways as the demo asks for it, until an essential task of any node ends, whose name is returned. May be dropped
    /// at any time; [`Cluster::drain`] then ends what runs.
    pub(crate) async fn supervise(&mut self, runtime: &NodeRuntime) -> &'static str {
        loop {
            match self.next_duty().await {
                Ok(Duty::Kill(request)) => self.kill(request).await,
                Ok(Duty::Restart(index)) => self.restart(index, runtime).await,
                Err(task) => return task,
            }
        }
    }

    /// Waits for what is to be done next, or for the name of an essential task that has ended.
    async fn next_duty(&mut self) -> Result<Duty, &'static str> {
        let Self {
            gateways,
            worker,
            simulator,
            kills,
            ..
        } = self;
        let failures = select_all(gateways.iter().map(|gateway| Box::pin(gateway.failure())));
        let starts = select_all(gateways.iter().map(|gateway| Box::pin(gateway.is_due())));
        tokio::select! {
            (task, ..) = failures => Err(task),
            task = worker.0.failure() => Err(task),
            task = simulator.failure() => Err(task),
            Some(request) = kills.recv() => Ok(Duty::Kill(request)),
            ((), index, _) = starts => Ok(Duty::Restart(index)),
        }
    }

    /// Kills a gateway, if all run: the clients always have one to go to.
    async fn kill(&mut self, request: KillRequest) {
        let all_run = self.gateways.iter().all(GatewaySlot::is_running);
        let Some(gateway) = self.gateways.get_mut(request.gateway).filter(|_| all_run) else {
            return request.refuse();
        };
        request.accept();
        // The response goes out first, which may be by this very gateway.
        sleep(RESPONSE_TIME).await;
        gateway.kill().await;
        self.report_gateways();
    }

    async fn restart(&mut self, index: usize, runtime: &NodeRuntime) {
        if let Some(gateway) = self.gateways.get_mut(index) {
            Box::pin(gateway.restart(&self.nodes, runtime)).await;
        }
        self.report_gateways();
    }

    /// Shows the demo which gateways run.
    fn report_gateways(&self) {
        self.view.send_modify(|view| {
            for (shown, gateway) in view.gateways.iter_mut().zip(&self.gateways) {
                shown.is_running = gateway.is_running();
            }
        });
    }

    /// Drains the gateways, then the worker, then the simulator.
    pub(crate) async fn drain(self) -> DrainReport {
        for gateway in self.gateways {
            gateway.drain(DRAIN_WITHIN).await;
        }
        let (worker, span) = self.worker;
        worker.drain(DRAIN_WITHIN).instrument(span).await;
        self.simulator.drain(DRAIN_WITHIN).await
    }
}

const GATEWAYS: usize = 2;

/// Default port of the simulator; the next free one is used instead of a taken one.
const SIMULATOR_PORT: u16 = 9100;

const DRAIN_WITHIN: Duration = Duration::from_secs(3);
/// Time in which the response to a kill is sent.
const RESPONSE_TIME: Duration = Duration::from_millis(250);

/// URLs under which browsers reach the gateways and their hosted callbacks: each gateway by its address and as `localhost`.
fn public_urls(gateways: &[GatewaySlot]) -> Result<Vec<Url>, ParseError> {
    let mut urls = Vec::new();
    for gateway in gateways {
        let by_address = Url::parse(&ready::https(gateway.ports().public))?;
        let mut by_name = by_address.clone();
        by_name.set_host(Some("localhost"))?;
        urls.extend([by_address, by_name]);
    }
    Ok(urls)
}

/// The cluster as the demo shows it.
fn cluster_view(gateways: &[GatewaySlot], public_urls: &[Url]) -> ClusterView {
    let gateway = |slot: &GatewaySlot| GatewayView {
        url: ready::https(slot.ports().public),
        internal: slot.ports().internal,
        is_running: slot.is_running(),
    };
    ClusterView {
        gateways: gateways.iter().map(gateway).collect(),
        origins: public_urls
            .iter()
            .map(|url| url.origin().ascii_serialization())
            .collect(),
    }
}

/// Output of a cluster that is ready.
fn ready_output(
    nodes: &Nodes,
    gateways: &[GatewaySlot],
    (simulator, public_urls): (String, Vec<Url>),
    allowed_origins: String,
) -> Result<Ready, DevError> {
    let identity = &nodes.identity;
    let ports = gateways.iter().map(GatewaySlot::ports);
    let urls: Vec<String> = ports.clone().map(|ports| ready::https(ports.public)).collect();
    Ok(Ready {
        ready: true,
        demo: urls.first().map(|url| format!("{url}/demo")).unwrap_or_default(),
        gateways: urls,
        health: ports.clone().map(|ports| ready::http(ports.health)).collect(),
        internal: ports.map(|ports| ready::http(ports.internal)).collect(),
        simulator,
        internal_token: identity.internal_token()?,
        ca: identity.ca(),
        jwt_secret: identity.jwt_secret()?,
        dir: identity.dir().to_owned(),
        public_urls,
        allowed_origins,
    })
}
