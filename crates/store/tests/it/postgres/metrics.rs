//! Metrics of the store in Prometheus's text format.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::offset::Epoch;
use protocol::id::UserId;
use protocol::secret::Secret;
use store::{Accounts, Link, Outbox, PgSettings, PgStore, Publication, PublishError, Publisher};
use testkit::postgres::Database;
use testkit::{Postgres, Proxy, wait};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::database::{metered, migrated, migrated_database, settings, value};
use crate::recorder::relayed;
use crate::sample::{audit_keys, event, late_receipt, link, receipt, unlink, user};

/// Series of the operation's measurement with these further labels.
fn operation(part: &str, step: &str, error_type: &str) -> String {
    let labels = format!("db_operation_name=\"{step}\",db_system_name=\"postgresql\"{error_type}");
    format!("db_client_operation_duration_seconds_{part}{{{labels}}}")
}

const WAIT: &str = "db_client_connection_wait_time_seconds_sum{db_client_connection_pool_name=\"postgres\"}";
const PENDING: &str = "db_client_connection_pending_requests{db_client_connection_pool_name=\"postgres\"}";

#[tokio::test]
async fn failures_are_counted_by_step_and_connections_by_state() {
    let (meter, figures) = metered();
    let schema = migrated().await;
    let store = PgStore::connect(&settings(&schema.url()), audit_keys(), &meter)
        .await
        .unwrap();
    store.link_account(&link("GEN-001", "7"), &receipt("1")).await.unwrap();
    let late = store.unlink_account(&unlink("GEN-001"), &late_receipt("2")).await;
    assert!(late.is_err());

    let pool = |state| {
        format!(
            "db_client_connection_count{{db_client_connection_pool_name=\"postgres\",db_client_connection_state=\"{state}\"}}"
        )
    };
    let text = figures();
    for (series, expected) in [
        (
            r#"postern_store_errors_total{meaning="too_late",step="unlink the account"}"#,
            1.0,
        ),
        (pool("idle").as_str(), 1.0),
        (pool("used").as_str(), 0.0),
        (
            r#"db_client_connection_max{db_client_connection_pool_name="postgres"}"#,
            4.0,
        ),
        (PENDING, 0.0),
        (operation("count", "store the link", "").as_str(), 1.0),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series} in:\n{text}");
    }
    drop(store);
    assert_eq!(value(&figures(), &pool("idle")), Some(0.0));
}

#[tokio::test]
async fn every_series_of_a_counter_is_zero_before_the_first_event() {
    let (meter, figures) = metered();
    let schema = migrated().await;
    let _store = PgStore::connect(&settings(&schema.url()), audit_keys(), &meter)
        .await
        .unwrap();
    let text = figures();
    for series in [
        r#"postern_store_errors_total{meaning="unknown",step="store the link"}"#,
        r#"postern_store_errors_total{meaning="session_ended",step="update the security settings"}"#,
        r#"postern_store_connections_discarded_total{reason="silent"}"#,
        "postern_store_tasks_given_up_total",
    ] {
        assert_eq!(value(&text, series), Some(0.0), "{series} in:\n{text}");
    }
}

/// Publisher that accepts an event for each permit.
struct Gate {
    permits: Semaphore,
    is_reached: AtomicBool,
}

impl Gate {
    fn closed() -> Self {
        Self {
            permits: Semaphore::new(0),
            is_reached: AtomicBool::new(false),
        }
    }
}

#[async_trait]
impl Publisher for Gate {
    async fn publish(
        &self,
        _user: &UserId,
        _event: &Envelope,
        _restored: Option<&Epoch>,
    ) -> Result<Publication, PublishError> {
        self.is_reached.store(true, Ordering::SeqCst);
        self.permits.acquire().await.unwrap().forget();
        Ok(Publication::Accepted)
    }

    async fn unrestored_epoch(&self, _user: &UserId) -> Result<Option<Epoch>, PublishError> {
        Ok(None)
    }

    async fn mark_restored(&self, _user: &UserId, _epoch: &Epoch) -> Result<bool, PublishError> {
        Ok(true)
    }
}

/// Store with one connection and an event to relay.
async fn with_unsent_event() -> (Database, PgStore, impl Fn() -> String) {
    let (meter, figures) = metered();
    let database = migrated_database().await;
    let settings = PgSettings::parse(&Secret::new(database.url()), 1).unwrap();
    let store = PgStore::connect(&settings, audit_keys(), &meter).await.unwrap();
    let link = Link {
        events: vec![event("1")],
        ..link("GEN-001", "7")
    };
    store.link_account(&link, &receipt("1")).await.unwrap();
    (database, store, figures)
}

/// The publisher has the only connection meanwhile: that is the time of neither operation, and the wait of the second one.
#[tokio::test]
async fn operation_is_timed_without_its_wait_for_a_connection_and_its_work_elsewhere() {
    let (_database, store, figures) = with_unsent_event().await;
    let (gate, user) = (Gate::closed(), user("GEN-001"));
    let started = Instant::now();
    let relaying = store.relay_user(&user, &gate);
    let listing = store.accounts(&user);
    let releasing = async {
        let waits = async || gate.is_reached.load(Ordering::SeqCst) && value(&figures(), PENDING) == Some(1.0);
        wait::until_true("both operations to wait", wait::deadline(), waits).await;
        let blocked = Instant::now();
        let is_long = async || blocked.elapsed() > Duration::from_millis(200);
        wait::until_true("200 ms to pass", wait::deadline(), is_long).await;
        let blocked = blocked.elapsed();
        gate.permits.add_permits(1);
        blocked
    };
    let (relayed, listed, blocked) = tokio::join!(relaying, listing, releasing);
    assert_eq!((relayed.unwrap().sent, listed.unwrap().len()), (1, 1));

    let (total, blocked) = (started.elapsed().as_secs_f64(), blocked.as_secs_f64());
    let text = figures();
    for step in ["relay events", "list the accounts"] {
        let timed = value(&text, &operation("sum", step, "")).unwrap();
        assert!(
            timed <= total - blocked,
            "{step}: {timed} of {total}, {blocked} blocked"
        );
    }
    assert!(value(&text, WAIT).unwrap() >= blocked, "{blocked} blocked:\n{text}");
}

#[tokio::test]
async fn operation_whose_caller_stops_waiting_for_the_server_is_recorded_as_cancelled() {
    let proxy = Proxy::start(Postgres::shared().await.addr()).await;
    let schema = migrated().await;
    let (meter, figures) = metered();
    let url = schema.url_through(proxy.addr());
    let store = PgStore::connect(&settings(&url), audit_keys(), &meter).await.unwrap();
    proxy.freeze();
    let user = user("GEN-001");
    tokio::select! {
        listed = store.accounts(&user) => panic!("{listed:?}"),
        () = wait::until_true("the connection to be used", wait::deadline(), async || {
            figures().contains("db_client_connection_state=\"used\"} 1")
        }) => {}
    }
    let cancelled = operation("count", "list the accounts", ",error_type=\"cancelled\"");
    assert_eq!(value(&figures(), &cancelled), Some(1.0), "{}", figures());
}

#[tokio::test]
async fn operation_whose_caller_stops_waiting_for_the_publisher_is_no_failure_of_the_server() {
    let (_database, store, figures) = with_unsent_event().await;
    let (gate, user) = (Gate::closed(), user("GEN-001"));
    tokio::select! {
        relayed = store.relay_user(&user, &gate) => panic!("{relayed:?}"),
        () = wait::until_true("the publication", wait::deadline(), async || gate.is_reached.load(Ordering::SeqCst)) => {}
    }
    let relayed = operation("count", "relay events", "");
    assert_eq!(value(&figures(), &relayed), Some(1.0), "{}", figures());
}

#[tokio::test]
async fn operation_on_an_unreachable_server_is_recorded_by_its_failure() {
    let proxy = Proxy::start(Postgres::shared().await.addr()).await;
    let schema = migrated().await;
    let (meter, figures) = metered();
    let url = schema.url_through(proxy.addr());
    let store = PgStore::connect(&settings(&url), audit_keys(), &meter).await.unwrap();
    proxy.refuse(true);
    proxy.cut();
    wait::until_true("a failed operation", wait::deadline(), async || {
        store.accounts(&user("GEN-001")).await.is_err()
    })
    .await;
    let failed = operation("count", "list the accounts", ",error_type=\"unreachable\"");
    assert!(
        value(&figures(), &failed).is_some_and(|times| times >= 1.0),
        "{}",
        figures()
    );
}

#[tokio::test]
async fn age_of_an_event_is_recorded_when_it_is_published() {
    let (database, store, figures) = with_unsent_event().await;
    let age = "postern_store_outbox_age_seconds";
    database
        .sql("UPDATE outbox SET created_at = now() - interval '90 seconds'")
        .await;
    assert_eq!(relayed(&store, &user("GEN-001")).await, ["1"]);
    assert_eq!(value(&figures(), &format!("{age}_count")), Some(1.0), "{}", figures());
    assert!(
        value(&figures(), &format!("{age}_sum")).unwrap() >= 90.0,
        "{}",
        figures()
    );
}

#[tokio::test]
async fn users_and_their_inputs_add_no_series() {
    let (meter, figures) = metered();
    let database = migrated_database().await;
    let store = PgStore::connect(&settings(&database.url()), audit_keys(), &meter)
        .await
        .unwrap();
    let series = || {
        let figures = figures();
        let series = figures.lines().filter_map(|line| line.rsplit_once(' '));
        series.map(|(series, _)| series.to_owned()).collect::<Vec<_>>()
    };
    let once = async |number: u32| {
        let (name, id) = (format!("canary-{number}"), format!("canary-{number}}} 1"));
        store.link_account(&link(&name, &id), &receipt(&name)).await.unwrap();
        let late = store.unlink_account(&unlink(&name), &late_receipt(&id)).await;
        late.unwrap_err();
        relayed(&store, &user(&name)).await;
    };
    once(0).await;
    let before = series();
    for number in 1..20 {
        once(number).await;
    }
    assert_eq!(series(), before);
    assert!(!figures().contains("canary"), "{}", figures());
}
