//! Hints: marking and clearing.

use bus::{Bus, Hint, RecordedSignIn, SessionKey, SessionState};
use protocol::cluster::origin::Origin;
use protocol::id::SessionId;

use crate::sample::{MINUTE, publish, publish_alert, user};

test_all!(
    new_user_has_no_hints,
    device_is_seen_on_marked_networks_only,
    cleared_marks_are_gone,
    full_set_of_marks_is_cleared,
    check_without_alerts_counts_until_an_alert_is_raised,
    check_is_void_if_an_alert_was_raised_meanwhile,
    later_of_two_checks_counts,
    recorded_sign_in_sets_both_hints,
    recorded_sign_in_sets_no_hint_after_an_alert_or_a_wrong_second_factor,
    hints_are_per_user,
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

async fn new_user_has_no_hints(bus: &dyn Bus) {
    let hint = bus.hint(&user("u"), &from("phone", "192.0.2.1")).await.unwrap();
    assert_eq!(hint, Hint::default());
}

async fn device_is_seen_on_marked_networks_only(bus: &dyn Bus) {
    bus.mark_seen(&user("u"), &from("phone", "192.0.2.1")).await.unwrap();
    assert!(seen(bus, "phone", "192.0.2.1").await);
    assert!(seen(bus, "phone", "192.0.2.99").await, "same network");
    assert!(!seen(bus, "phone", "198.51.100.1").await, "another network");
    assert!(!seen(bus, "laptop", "192.0.2.1").await, "another device");
    bus.mark_seen(&user("u"), &from("laptop", "198.51.100.1"))
        .await
        .unwrap();
    assert!(seen(bus, "phone", "198.51.100.7").await);
    // A device id never matches a network.
    assert!(!seen(bus, "192.0.2.0/24", "192.0.2.1").await);
}

async fn cleared_marks_are_gone(bus: &dyn Bus) {
    bus.mark_seen(&user("u"), &from("phone", "192.0.2.1")).await.unwrap();
    bus.clear_seen(&user("u")).await.unwrap();
    assert!(!seen(bus, "phone", "192.0.2.1").await);
    bus.clear_seen(&user("u")).await.unwrap();
}

async fn full_set_of_marks_is_cleared(bus: &dyn Bus) {
    for number in 0..300 {
        let device = number.to_string();
        bus.mark_seen(&user("u"), &from(&device, "192.0.2.1")).await.unwrap();
        assert!(seen(bus, &device, "192.0.2.1").await);
    }
    assert!(!seen(bus, "0", "192.0.2.1").await);
}

async fn check_without_alerts_counts_until_an_alert_is_raised(bus: &dyn Bus) {
    bus.begin_alert_check(&user("u"), "a").await.unwrap();
    assert!(!no_open_alerts(bus).await);
    bus.mark_no_open_alerts(&user("u"), "a").await.unwrap();
    assert!(no_open_alerts(bus).await);
    publish(bus, &user("u"), 1).await;
    assert!(no_open_alerts(bus).await, "an event that is no alert");
    publish_alert(bus, "first").await;
    assert!(!no_open_alerts(bus).await);
}

async fn check_is_void_if_an_alert_was_raised_meanwhile(bus: &dyn Bus) {
    bus.begin_alert_check(&user("u"), "a").await.unwrap();
    publish_alert(bus, "first").await;
    bus.mark_no_open_alerts(&user("u"), "a").await.unwrap();
    assert!(!no_open_alerts(bus).await);
}

async fn later_of_two_checks_counts(bus: &dyn Bus) {
    for look in ["a", "b"] {
        bus.begin_alert_check(&user("u"), look).await.unwrap();
    }
    bus.mark_no_open_alerts(&user("u"), "a").await.unwrap();
    assert!(!no_open_alerts(bus).await);
    bus.mark_no_open_alerts(&user("u"), "b").await.unwrap();
    assert!(no_open_alerts(bus).await);
}

/// Opens a session whose sign-in was recorded under this check.
async fn open_signed_in(bus: &dyn Bus, check: &str) -> SessionState {
    let key = SessionKey {
        user: user("u"),
        session: SessionId::new("s").unwrap(),
    };
    let sign_in = RecordedSignIn {
        check,
        from: &from("phone", "192.0.2.1"),
    };
    bus.seed_signed_in(&key, MINUTE, &sign_in).await.unwrap()
}

async fn recorded_sign_in_sets_both_hints(bus: &dyn Bus) {
    bus.begin_alert_check(&user("u"), "a").await.unwrap();
    let opened = open_signed_in(bus, "a").await;
    assert!(matches!(opened, SessionState::Alive(_)), "{opened:?}");
    assert!(no_open_alerts(bus).await);
    assert!(seen(bus, "phone", "192.0.2.1").await);
    assert!(!seen(bus, "laptop", "192.0.2.1").await);
}

async fn recorded_sign_in_sets_no_hint_after_an_alert_or_a_wrong_second_factor(bus: &dyn Bus) {
    bus.begin_alert_check(&user("u"), "a").await.unwrap();
    publish_alert(bus, "first").await;
    let opened = open_signed_in(bus, "a").await;
    assert!(matches!(opened, SessionState::Alive(_)), "{opened:?}");
    assert!(!no_open_alerts(bus).await && !seen(bus, "phone", "192.0.2.1").await);

    bus.begin_alert_check(&user("u"), "b").await.unwrap();
    bus.clear_seen(&user("u")).await.unwrap();
    open_signed_in(bus, "b").await;
    assert!(!no_open_alerts(bus).await && !seen(bus, "phone", "192.0.2.1").await);

    open_signed_in(bus, "never started").await;
    assert!(!no_open_alerts(bus).await && !seen(bus, "phone", "192.0.2.1").await);
}

async fn hints_are_per_user(bus: &dyn Bus) {
    bus.mark_seen(&user("v"), &from("phone", "192.0.2.1")).await.unwrap();
    bus.begin_alert_check(&user("v"), "a").await.unwrap();
    bus.mark_no_open_alerts(&user("v"), "a").await.unwrap();
    assert!(!seen(bus, "phone", "192.0.2.1").await);
    assert!(!no_open_alerts(bus).await);
}
