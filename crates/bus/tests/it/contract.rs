//! Contracts of the roles, run against both implementations, and against a Redis and a Redis Cluster with all their protections.

/// Turns each contract into a test of the memory bus, one of the Redis bus, and two by TLS with least permissions: of a Redis, and of a
/// Redis Cluster.
macro_rules! test_all {
    ($($contract:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $contract() {
                super::$contract(&*crate::nodes::in_memory()).await;
            })+
        }

        mod redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $contract() {
                super::$contract(&*crate::nodes::on_shared_redis().await).await;
            })+
        }

        mod protected_redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $contract() {
                super::$contract(&*crate::nodes::on_protected_redis().await).await;
            })+
        }

        mod protected_cluster {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $contract() {
                super::$contract(&*crate::nodes::on_protected_cluster().await).await;
            })+
        }
    };
}

mod challenges;
mod events;
mod hints;
mod jobs;
mod joins;
mod limits;
mod presence;
mod resume_tokens;
mod session_races;
mod sessions;
