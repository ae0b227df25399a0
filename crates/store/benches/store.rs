//! Encryption in the vault, and commits of groups of alerts in a real Postgres without fsync.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails, and says where")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput};
use lifecycle::OsEntropy;
use opentelemetry::metrics::{MeterProvider, NoopMeterProvider};
use protocol::id::{AlertId, ConnectionId, JobId, SessionId, UserId};
use protocol::secret::Secret;
use protocol::security::{Alert, AlertType, Severity};
use protocol::time::Timestamp;
use protocol::trace::TraceParent;
use store::vault::{Binding, Ciphertext, Vault, VaultKeys};
use store::{Actor, AlertRequest, Alerts, PgSettings, PgStore, Receipt, migrate};
use testkit::{Postgres, wait};
use tokio::runtime::Runtime;
use tokio::time::Instant;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    vault(&mut criterion);
    alert_groups(&mut criterion);
    criterion.final_summary();
}

fn keys() -> VaultKeys {
    VaultKeys::parse(&Secret::new(format!("bench:{}=", "A".repeat(43)))).unwrap()
}

fn vault(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("vault, a token of 1,000 bytes");
    let (vault, user) = (Vault::new(keys(), Arc::new(OsEntropy)), UserId::new("GEN-001").unwrap());
    let binding = Binding {
        user: &user,
        scope: "github",
        column: "access_token",
    };
    let token = Secret::new("x".repeat(1_000));
    group.bench_function("encrypt", |b| b.iter(|| vault.encrypt(&binding, black_box(&token))));
    let encrypted = vault.encrypt(&binding, &token);
    group.bench_function("decrypt", |b| {
        b.iter(|| vault.decrypt(&binding, black_box(&encrypted)).is_ok());
    });
    group.finish();
}

/// Alerts of distinct users, in groups from a lone one to a full lane.
fn alert_groups(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let postgres = runtime.block_on(Postgres::start());
    let schema = runtime.block_on(postgres.schema());
    let settings = PgSettings::parse(&Secret::new(schema.owner_url()), 4).unwrap();
    let meter = NoopMeterProvider::new().meter("bench");
    let store = runtime.block_on(async {
        migrate(&settings, &[]).await.unwrap();
        PgStore::connect(&settings, keys().audit_keys(), &meter).await.unwrap()
    });
    let mut group = criterion.benchmark_group("commit a group of alerts");
    let mut alerts = 0..;
    for size in [1, 16, 128] {
        group.throughput(Throughput::Elements(size));
        let mut requests = || -> Vec<AlertRequest> { alerts.by_ref().zip(0..size).map(request).collect() };
        group.bench_function(size.to_string(), |b| {
            b.iter_batched(
                &mut requests,
                |requests| runtime.block_on(store.raise_alerts(&requests, &[])).unwrap(),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// Alert of a number, for one of its group's users.
fn request((number, user): (u64, u64)) -> AlertRequest {
    let alert = Alert {
        user_id: UserId::new(format!("GEN-{user}")).unwrap(),
        alert_id: AlertId::new(format!("alert-{number}")).unwrap(),
        severity: Severity::High,
        kind: AlertType::SuspiciousLogin,
        message: "a sign-in from a new network".to_owned(),
        timestamp: Timestamp::from_millis(1_795_451_460_007),
        requires_action: true,
    };
    let receipt = Receipt {
        job: JobId::new(format!("job-{number}")).unwrap(),
        actor: Actor::Session(SessionId::new("internal").unwrap()),
        connection: ConnectionId::new("connection").unwrap(),
        origin: None,
        traceparent: TraceParent::begin(1, 1),
        idempotency: None,
        answer: Ciphertext::from_bytes(b"{}".to_vec()),
        keep: Duration::from_secs(60),
        deadline: Instant::now() + wait::deadline(),
    };
    AlertRequest::new(alert, receipt)
}
