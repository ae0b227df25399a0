//! Contract suite of both stores, a file per trait.

mod accounts;
mod alert_groups;
mod alerts;
mod answers;
pub(crate) mod app_webhooks;
mod audit;
mod deliveries;
pub(crate) mod devices;
pub(crate) mod encrypted_columns;
mod ended_sessions;
mod inboxes;
mod key_uses;
mod links;
mod openings;
mod outbox;
mod pauses;
mod pending_links;
mod provisional;
mod queue;
mod refreshes;
mod retention;
mod revoke_all;
mod security;
mod session_retention;
pub(crate) mod sessions;
mod sync_leases;
mod syncs;
mod tokenless;
mod user_reads;

/// Makes each promise, a function of a store, a test of each store. Postgres is tried twice: behind a pooler every transaction may have
/// another connection of the server's.
macro_rules! kept_by_both_stores {
    ($($promise:ident),+ $(,)?) => {
        $crate::contract::kept_by_both_stores!(app_webhooks: &[]; $($promise),+);
    };
    // Stores that queue webhooks of these types.
    (app_webhooks: $types:expr; $($promise:ident),+ $(,)?) => {
        mod memory {
            $(
                #[tokio::test]
                async fn $promise() {
                    let clock = std::sync::Arc::new(lifecycle::SystemClock);
                    let store = store::MemoryStore::new(clock, crate::sample::audit_keys());
                    super::$promise(&store.queueing_app_webhooks($types)).await;
                }
            )+
        }

        mod postgres {
            $(
                #[tokio::test]
                async fn $promise() {
                    let database = crate::database::migrated_database().await;
                    super::$promise(&crate::database::queueing_store(&database.url(), $types).await).await;
                }
            )+
        }

        mod pooled {
            $(
                #[tokio::test]
                async fn $promise() {
                    let database = crate::database::migrated_database().await;
                    super::$promise(&crate::database::pooled_store(&database, $types).await).await;
                }
            )+
        }
    };
}
pub(crate) use kept_by_both_stores;
