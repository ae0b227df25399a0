//! Gateway on loopback for the test programs of this crate: settings, certificate, tokens, runtime and start.

use std::sync::Arc;

use gateway::{Gateway, Running, Runtime, Settings, TlsSettings, TokenKey, TokenKeys, TokenLimits, TokenSettings};
use lifecycle::{Dependencies, Entropy, OsEntropy, Readiness, SystemClock};
use protocol::account::{AccountStatus, AccountType, StatusChanged};
use protocol::cluster::envelope::Envelope;
use protocol::event::Event;
use protocol::id::{EventId, UserId};
use protocol::secret::Secret;
use protocol::time::Timestamp;
use telemetry::metrics::Metrics;
use testkit::tls::Authority;
use testkit::token::Signer;
use testkit::wait;

/// Signer of HS256 tokens, with its key.
pub(crate) fn hs256() -> (Signer, TokenKey) {
    let signer = Signer::hs256();
    let key = TokenKey::hs256(&Secret::new(signer.verifier())).unwrap();
    (signer, key)
}

/// Certificate of the server, issued by this authority.
pub(crate) fn certificate(authority: &Authority) -> TlsSettings {
    let (certificate, key) = authority.issue_files(SERVER);
    TlsSettings { certificate, key }
}

/// Default settings on a free port, for tokens of this key.
pub(crate) fn settings(tls: TlsSettings, key: TokenKey) -> Settings {
    let tokens = TokenSettings {
        keys: TokenKeys::fixed(key),
        issuer: None,
        audience: None,
        limits: TokenLimits::default(),
    };
    Settings::new(([127, 0, 0, 1], 0).into(), tls, tokens)
}

/// Real clock and randomness, and instruments of these metrics.
pub(crate) fn runtime(metrics: &Metrics) -> Runtime {
    Runtime {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        meter: metrics.meter(),
        readiness: Readiness::new(),
        dependencies: Dependencies::new(Arc::new(SystemClock)),
    }
}

/// Starts a gateway and waits until it is ready.
pub(crate) async fn spawn(gateway: Gateway) -> Running {
    let readiness = gateway.readiness();
    let running = gateway.spawn();
    wait::until_true("the gateway to be ready", wait::deadline(), async || {
        readiness.is_ready()
    })
    .await;
    running
}

/// Event of a user whose account has changed.
pub(crate) fn status_changed(user: &UserId, account_type: AccountType, status: AccountStatus) -> Envelope {
    let event = Event::StatusChanged(StatusChanged {
        user_id: user.clone(),
        account_type,
        status,
        timestamp: Timestamp::from_millis(1_795_451_460_007),
        metadata: None,
    });
    let id = EventId::new((&OsEntropy as &dyn Entropy).token()).unwrap();
    Envelope::of(id, &event)
}

/// Name of the server's certificate.
pub(crate) const SERVER: &str = "server";
