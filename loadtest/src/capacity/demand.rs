//! Demand of a number of users at the peak.

use clap::Args;

use super::costs::{Cost, Costs};

/// Traffic of one user.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Traffic {
    /// Sockets of a connected user.
    #[arg(long, default_value_t = 1.5)]
    pub(super) sockets_per_user: f64,
    /// Events without a row that a user receives in a day.
    #[arg(long, default_value_t = 100.0)]
    pub(super) events_per_day: f64,
    /// Durable alerts that a user receives in a day.
    #[arg(long, default_value_t = 1.0)]
    pub(super) alerts_per_day: f64,
    /// Connects of a known session that a socket does in a day.
    #[arg(long, default_value_t = 20.0)]
    pub(super) connects_per_day: f64,
    /// Sessions that a user opens in a day.
    #[arg(long, default_value_t = 2.0)]
    pub(super) sessions_per_day: f64,
    /// Traffic of the busiest minute by the mean of the day.
    #[arg(long, default_value_t = 4.0)]
    pub(super) peak: f64,
}

/// Demand of a number of users.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    /// Open sockets.
    pub(super) sockets: f64,
    /// Deliveries a second at the peak.
    pub(super) deliveries: f64,
    /// Alerts a second at the peak.
    pub(super) alerts: f64,
    /// Memory of all gateways, in bytes.
    pub(super) gateway_bytes: f64,
    /// Memory of Redis, in bytes.
    pub(super) redis_bytes: f64,
    /// Cost of a second at the peak.
    pub(super) per_second: Cost,
}

impl Demand {
    /// Demand of `users` connected users.
    pub(super) fn new(users: f64, traffic: &Traffic, costs: &Costs) -> Self {
        let sockets = users * traffic.sockets_per_user;
        let at_peak = |number: f64, per_day: f64| number * per_day * traffic.peak / SECONDS_OF_A_DAY;
        let events = at_peak(users, traffic.events_per_day);
        let alerts = at_peak(users, traffic.alerts_per_day);
        let deliveries = (events + alerts) * traffic.sockets_per_user;
        let mut per_second = Cost::default();
        for (number, cost) in [
            (sockets, &costs.idle_second),
            (at_peak(sockets, traffic.connects_per_day), &costs.known_connect),
            (at_peak(users, traffic.sessions_per_day), &costs.first_connect),
            (events, &costs.event),
            (deliveries, &costs.delivery),
            (alerts, &costs.alert),
        ] {
            per_second.add(number, cost);
        }
        let events_of_an_hour = (events + alerts) * 3600.0;
        Self {
            sockets,
            deliveries,
            alerts,
            gateway_bytes: sockets * costs.gateway_bytes_per_socket,
            redis_bytes: users * costs.redis_bytes_per_user + events_of_an_hour * costs.redis_bytes_per_event,
            per_second,
        }
    }
}

const SECONDS_OF_A_DAY: f64 = 86_400.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demand_adds_up_sockets_connects_events_deliveries_and_alerts_at_the_peak() {
        let cpu = |gateway_cpu_ms| Cost {
            gateway_cpu_ms,
            ..Cost::default()
        };
        let costs = Costs {
            gateway_bytes_per_socket: 1000.0,
            redis_bytes_per_user: 10.0,
            redis_bytes_per_event: 1.0,
            idle_second: cpu(1.0),
            known_connect: cpu(10.0),
            first_connect: cpu(100.0),
            event: cpu(1_000.0),
            delivery: cpu(10_000.0),
            alert: cpu(100_000.0),
        };
        let traffic = Traffic {
            sockets_per_user: 2.0,
            events_per_day: 3.0,
            alerts_per_day: 1.0,
            connects_per_day: 5.0,
            sessions_per_day: 1.0,
            peak: 2.0,
        };
        // At the peak, one of everything a second for each, but 10 connects of known sessions.
        let demand = Demand::new(43_200.0, &traffic, &costs);
        let expected = 86_400.0 + 10.0 * 10.0 + 100.0 + 3.0 * 1_000.0 + 8.0 * 10_000.0 + 100_000.0;
        assert!((demand.per_second.gateway_cpu_ms - expected).abs() < 1e-3, "{demand:?}");
        assert!((demand.gateway_bytes - 86_400_000.0).abs() < 1e-3);
        assert!((demand.redis_bytes - (432_000.0 + 4.0 * 3600.0)).abs() < 1e-3);
    }

    #[test]
    fn costs_of_this_program_are_readable_and_of_every_operation() {
        let costs = Costs::read(None).unwrap();
        for cost in [costs.known_connect, costs.first_connect, costs.event, costs.alert] {
            assert!(cost.gateway_cpu_ms > 0.0 && cost.redis_commands > 0.0, "{cost:?}");
        }
        assert!(costs.delivery.gateway_cpu_ms > 0.0 && costs.gateway_bytes_per_socket > 0.0);
    }
}
