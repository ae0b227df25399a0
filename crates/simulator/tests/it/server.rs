//! Binding and serving.

use std::future::ready;

use simulator::{BindError, Simulator};

use crate::client::simulate;

#[tokio::test]
async fn it_is_reached_from_this_machine_only() {
    let refused = Simulator::bind(([0, 0, 0, 0], 0).into(), 1).await.unwrap_err();
    assert!(matches!(refused, BindError::NotLoopback(_)));
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let taken = Simulator::bind(([127, 0, 0, 1], 0).into(), 1).await.unwrap();
    let refused = Simulator::bind(taken.local_addr(), 1).await.unwrap_err();
    assert!(refused.to_string().contains(&taken.local_addr().to_string()));
}

#[tokio::test]
async fn serving_ends_with_the_shutdown() {
    let simulator = Simulator::bind(([127, 0, 0, 1], 0).into(), 1).await.unwrap();
    simulator.serve(ready(())).await;
}

#[tokio::test]
async fn two_simulators_do_not_notice_each_other() {
    simulate(async |one| {
        simulate(async |two| {
            one.exchange("test_code_123", &[]).await;
            assert_eq!(one.handle.snapshot().tokens.len(), 1);
            assert!(two.handle.snapshot().tokens.is_empty());
        })
        .await;
    })
    .await;
}
