//! What is said about how a user came: the rules. Pure: what is new, and the time, are arguments.

use std::time::Duration;

use protocol::cluster::origin::Origin;
use protocol::id::UserId;
use protocol::security::{Alert, AlertType, Severity};
use protocol::time::Timestamp;
use store::{Recognition, SignInFindings};

use crate::call::{digest, event_id};

/// The alerts that an arrival raises. Their names follow from what they are about: whoever finds the same raises the same.
pub(super) fn alerts(user: &UserId, from: &Origin, findings: &SignInFindings) -> Vec<Alert> {
    let place = format!(
        "{} from {}",
        from.device_name.as_deref().unwrap_or(from.device()),
        from.address
    );
    let raise = |kind: AlertType, severity, message, requires_action, about: &[u8]| Alert {
        user_id: user.clone(),
        alert_id: event_id(&digest([
            b"arrival".as_slice(),
            user.as_str().as_bytes(),
            kind.as_str().as_bytes(),
            about,
        ]))
        .into(),
        severity,
        kind,
        message,
        timestamp: findings.now,
        requires_action,
    };
    let mut alerts = Vec::new();
    // Known again after it was forgotten, a device is another one.
    let this_time = format!("{} {}", findings.now, from.device());
    if findings.device == Recognition::New {
        let message = format!("A new device signed in: {place}.");
        alerts.push(raise(
            AlertType::NewDevice,
            Severity::Medium,
            message,
            false,
            this_time.as_bytes(),
        ));
    }
    if findings.device == Recognition::New && findings.network == Recognition::New {
        let message = format!("A new device signed in from a network where you were not seen before: {place}.");
        let about = this_time.as_bytes();
        alerts.push(raise(AlertType::SuspiciousLogin, Severity::High, message, true, about));
    } else if let Some(last_failed) = guessed(findings.failures, findings.last_failed, findings.now) {
        let message = format!("A device signed in after wrong second factors were given: {place}.");
        let about = last_failed.to_string();
        alerts.push(raise(
            AlertType::SuspiciousLogin,
            Severity::High,
            message,
            true,
            about.as_bytes(),
        ));
    }
    alerts
}

/// When the last of too many wrong second factors came, if that is not long ago.
pub(super) fn guessed(failures: u32, last_failed: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    last_failed.filter(|last| failures >= GUESSES && now.since(*last) < GUESSED_WITHIN)
}

/// Wrong second factors in a row that make the next connect suspicious.
const GUESSES: u32 = 3;

/// For how long they do.
const GUESSED_WITHIN: Duration = Duration::from_secs(10 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    fn raised(device: Recognition, network: Recognition, failures: u32, minutes_ago: u64) -> Vec<(AlertType, bool)> {
        let last_failed = Timestamp::from_millis(1_795_451_460_007);
        let findings = SignInFindings {
            device,
            network,
            failures,
            last_failed: Some(last_failed),
            now: last_failed.plus(Duration::from_secs(60 * minutes_ago)),
        };
        let from = Origin {
            address: "192.0.2.7".to_owned(),
            device_id: Some("d-1".to_owned()),
            device_name: None,
            user_agent: None,
        };
        let alerts = alerts(&UserId::new("u").unwrap(), &from, &findings);
        assert!(alerts.iter().all(|alert| alert.message.contains("d-1 from 192.0.2.7")));
        alerts
            .into_iter()
            .map(|alert| (alert.kind, alert.requires_action))
            .collect()
    }

    #[test]
    fn only_a_new_device_is_news_and_on_a_new_network_it_is_suspicious() {
        use Recognition::{First, Known, New};
        let (new, suspicious) = ((AlertType::NewDevice, false), (AlertType::SuspiciousLogin, true));
        assert_eq!(raised(First, First, 0, 0), []);
        assert_eq!(raised(First, New, 0, 0), []);
        assert_eq!(raised(Known, New, 0, 0), []);
        assert_eq!(raised(New, Known, 0, 0), [new]);
        assert_eq!(raised(New, New, 0, 0), [new, suspicious]);
    }

    #[test]
    fn a_connect_soon_after_three_wrong_second_factors_is_suspicious() {
        let known = |failures, minutes_ago| raised(Recognition::Known, Recognition::Known, failures, minutes_ago);
        let suspicious = (AlertType::SuspiciousLogin, true);
        assert_eq!(known(2, 0), []);
        assert_eq!(known(3, 9), [suspicious]);
        assert_eq!(known(3, 10), []);
        // One reason is enough.
        assert_eq!(raised(Recognition::New, Recognition::New, 3, 0).len(), 2);
    }
}
