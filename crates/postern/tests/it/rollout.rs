//! Gateways behind a real HAProxy are replaced one after the other, while clients stay, new clients connect and alerts are published.
//!
//! `cargo xtask long rollout` runs longer forms: `POSTERN_ROLLOUT_TIMES` replaces each gateway so often, and
//! `POSTERN_REDIS_AWAY_SECONDS` is the length of the outage.

mod connection_log;
mod new_clients;
mod stage;
mod stalls;

use std::collections::BTreeMap;
use std::time::Duration;

use self::new_clients::NewClients;
use self::stage::{GATEWAYS, Sessions, Stage};
use crate::stage::by_hand;

#[tokio::test]
async fn replaced_gateways_refuse_nobody_and_lose_nothing_behind_haproxy() {
    let mut stage = Stage::start(Sessions::Keep).await;
    let new_clients = NewClients::start(stage.new_clients()).await;
    let mut rounds = Vec::new();
    for _ in 0..by_hand("POSTERN_ROLLOUT_TIMES").unwrap_or(1) {
        for gateway in 0..GATEWAYS {
            rounds.push(stage.replace(gateway).await);
        }
    }
    let new_clients = new_clients.stop().await;
    println!("{new_clients}");
    for round in &rounds {
        println!("{round}");
    }
    assert_eq!(new_clients.refused, Vec::<String>::new());
    for round in &rounds {
        assert!(round.sockets > 0, "{round}");
        assert_eq!(round.failed_attempts, Vec::<String>::new(), "{round}");
        assert!(
            round.longest_absence <= LONGEST_ABSENCE + HANDOVERS * round.stall,
            "{round}"
        );
        // Twice the mean, and what piles up while the machine stalls.
        let most = 2.0 * round.mean_rate() * (1.0 + round.stall.as_secs_f64());
        assert!(round.busiest_second as f64 <= most, "{round}");
    }
    assert_eq!(stage.refused_alerts(), Vec::<String>::new());
    let expected: BTreeMap<_, _> = stage.addresses().chain(NewClients::addresses()).collect();
    assert_eq!(stage.audited_addresses(expected.len()).await, expected);
    let sockets: usize = rounds.iter().map(|round| round.sockets).sum();
    let findings = Box::pin(stage.check()).await;
    // Each reconnect is a resume: what was published meanwhile is replayed.
    assert_eq!((findings.recovered, findings.fresh_starts), (sockets, 0));
    assert_eq!(findings.violations, Vec::<String>::new());
}

#[tokio::test]
async fn redis_that_stops_closes_no_socket_behind_haproxy_that_ends_sessions_of_unready_gateways() {
    let mut stage = Stage::start(Sessions::EndWhenDown).await;
    stage.publish_another().await;
    let outage = Duration::from_secs(by_hand("POSTERN_REDIS_AWAY_SECONDS").unwrap_or(12));
    stage.stop_redis_for(outage).await;
    stage.publish_another().await;
    assert_eq!(stage.disconnects(), BTreeMap::new());
    assert!(!stage.haproxy_logs().contains("is DOWN"), "{}", stage.haproxy_logs());
    let findings = Box::pin(stage.check()).await;
    assert_eq!((findings.recovered, findings.fresh_starts), (0, 0));
    assert_eq!(findings.violations, Vec::<String>::new());
}

/// Longest time for which a client may be without a connection.
const LONGEST_ABSENCE: Duration = Duration::from_secs(5);
/// Times that a connect goes from one process to another (client, HAProxy, gateway, Redis and back), each of which may be
/// stalled where the machine is too small for what else runs on it.
const HANDOVERS: u32 = 10;
