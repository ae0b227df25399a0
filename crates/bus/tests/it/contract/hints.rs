//! Hints: what is noted, and what withdraws it.

use bus::{Bus, Hint};
use protocol::cluster::origin::Origin;

use crate::sample::user;

holds_for_both!(
    nothing_is_known_of_a_user_at_first,
    a_device_is_seen_on_the_networks_that_were_noted,
    what_was_seen_can_be_forgotten,
    a_user_with_too_many_devices_begins_anew,
    a_look_that_found_nothing_counts_until_an_alert_is_raised,
    a_look_does_not_count_when_an_alert_was_raised_meanwhile,
    of_two_looks_the_later_one_counts,
    users_do_not_share_hints,
);

fn from(device: &str, address: &str) -> Origin {
    Origin {
        address: address.to_owned(),
        device_id: Some(device.to_owned()),
        device_name: None,
        user_agent: None,
    }
}

async fn seen(bus: &dyn Bus, device: &str, address: &str) -> bool {
    bus.hint(&user("u"), &from(device, address)).await.unwrap().seen
}

async fn no_open_alerts(bus: &dyn Bus) -> bool {
    let anywhere = from("any", "192.0.2.1");
    bus.hint(&user("u"), &anywhere).await.unwrap().no_open_alerts
}

async fn nothing_is_known_of_a_user_at_first(bus: &dyn Bus) {
    let hint = bus.hint(&user("u"), &from("phone", "192.0.2.1")).await.unwrap();
    assert_eq!(hint, Hint::default());
}

async fn a_device_is_seen_on_the_networks_that_were_noted(bus: &dyn Bus) {
    bus.mark_seen(&user("u"), &from("phone", "192.0.2.1")).await.unwrap();
    assert!(seen(bus, "phone", "192.0.2.1").await);
    assert!(seen(bus, "phone", "192.0.2.99").await, "the same network");
    assert!(!seen(bus, "phone", "198.51.100.1").await, "another network");
    assert!(!seen(bus, "laptop", "192.0.2.1").await, "another device");
    bus.mark_seen(&user("u"), &from("laptop", "198.51.100.1"))
        .await
        .unwrap();
    assert!(seen(bus, "phone", "198.51.100.7").await);
    // What a device is called is never taken for a network.
    assert!(!seen(bus, "192.0.2.0/24", "192.0.2.1").await);
}

async fn what_was_seen_can_be_forgotten(bus: &dyn Bus) {
    bus.mark_seen(&user("u"), &from("phone", "192.0.2.1")).await.unwrap();
    bus.clear_seen(&user("u")).await.unwrap();
    assert!(!seen(bus, "phone", "192.0.2.1").await);
    bus.clear_seen(&user("u")).await.unwrap();
}

async fn a_user_with_too_many_devices_begins_anew(bus: &dyn Bus) {
    for number in 0..300 {
        let device = number.to_string();
        bus.mark_seen(&user("u"), &from(&device, "192.0.2.1")).await.unwrap();
        assert!(seen(bus, &device, "192.0.2.1").await);
    }
    assert!(!seen(bus, "0", "192.0.2.1").await);
}

async fn a_look_that_found_nothing_counts_until_an_alert_is_raised(bus: &dyn Bus) {
    bus.begin_alert_check(&user("u"), "a").await.unwrap();
    assert!(!no_open_alerts(bus).await);
    bus.mark_no_open_alerts(&user("u"), "a").await.unwrap();
    assert!(no_open_alerts(bus).await);
    bus.clear_no_open_alerts(&user("u")).await.unwrap();
    assert!(!no_open_alerts(bus).await);
}

async fn a_look_does_not_count_when_an_alert_was_raised_meanwhile(bus: &dyn Bus) {
    bus.begin_alert_check(&user("u"), "a").await.unwrap();
    bus.clear_no_open_alerts(&user("u")).await.unwrap();
    bus.mark_no_open_alerts(&user("u"), "a").await.unwrap();
    assert!(!no_open_alerts(bus).await);
}

async fn of_two_looks_the_later_one_counts(bus: &dyn Bus) {
    for look in ["a", "b"] {
        bus.begin_alert_check(&user("u"), look).await.unwrap();
    }
    bus.mark_no_open_alerts(&user("u"), "a").await.unwrap();
    assert!(!no_open_alerts(bus).await);
    bus.mark_no_open_alerts(&user("u"), "b").await.unwrap();
    assert!(no_open_alerts(bus).await);
}

async fn users_do_not_share_hints(bus: &dyn Bus) {
    bus.mark_seen(&user("v"), &from("phone", "192.0.2.1")).await.unwrap();
    bus.begin_alert_check(&user("v"), "a").await.unwrap();
    bus.mark_no_open_alerts(&user("v"), "a").await.unwrap();
    assert!(!seen(bus, "phone", "192.0.2.1").await);
    assert!(!no_open_alerts(bus).await);
}
