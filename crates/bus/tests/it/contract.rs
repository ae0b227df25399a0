//! The contracts of the roles. Every sentence holds for both implementations.

/// Makes of each contract a test for the memory and one for Redis.
macro_rules! holds_for_both {
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
mod limits;
mod presence;
mod session_races;
mod sessions;
mod tickets;
