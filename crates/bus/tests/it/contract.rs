//! Contracts of the roles, run against both implementations.

/// Turns each contract into a test of the memory bus and one of the Redis bus.
macro_rules! test_both {
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
