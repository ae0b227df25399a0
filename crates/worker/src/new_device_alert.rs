//! Alerts about a sign-in: first-seen device, first-seen network, wrong codes before it. Pure: the check's result is the argument.

use std::time::Duration;

use protocol::cluster::origin::Origin;
use protocol::id::UserId;
use protocol::security::{Alert, AlertType, Severity};
use protocol::time::Timestamp;
use store::{Recognition, SignInFindings};

use crate::call::{digest, event_id};
use crate::inserted_text::inserted;

/// Alerts that a sign-in raises. Their ids are derived from their subject, so that a repeated check raises the same alerts.
pub(crate) fn alerts(user: &UserId, from: &Origin, findings: &SignInFindings) -> Vec<Alert> {
    let device = format!(
        "{} from {}",
        inserted(from.device_name.as_deref().unwrap_or(from.device())),
        from.address
    );
    let raise = |kind: AlertType, severity, message, requires_action, subject: &[u8]| Alert {
        user_id: user.clone(),
        alert_id: event_id(&digest([
            b"arrival".as_slice(),
            user.as_str().as_bytes(),
            kind.as_str().as_bytes(),
            subject,
        ]))
        .into(),
        severity,
        kind,
        message,
        timestamp: findings.now,
        requires_action,
    };
    let mut alerts = Vec::new();
    // The time makes a device that was forgotten and returns the subject of another alert.
    let sign_in = format!("{} {}", findings.now, from.device());
    if findings.device == Recognition::New {
        let message = format!("A new device signed in: {device}.");
        alerts.push(raise(
            AlertType::NewDevice,
            Severity::Medium,
            message,
            false,
            sign_in.as_bytes(),
        ));
    }
    if findings.device == Recognition::New && findings.network == Recognition::New {
        let message = format!("A new device signed in from a network where you were not seen before: {device}.");
        let subject = sign_in.as_bytes();
        alerts.push(raise(
            AlertType::SuspiciousLogin,
            Severity::High,
            message,
            true,
            subject,
        ));
    } else if let Some(last_failed) = recent_guesses(findings.failures, findings.last_failed, findings.now) {
        let message = format!("A device signed in after wrong second factors were given: {device}.");
        let subject = last_failed.to_string();
        alerts.push(raise(
            AlertType::SuspiciousLogin,
            Severity::High,
            message,
            true,
            subject.as_bytes(),
        ));
    }
    alerts
}

/// Time of the last wrong code, if there were several in a row recently.
pub(crate) fn recent_guesses(failures: u32, last_failed: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    last_failed.filter(|last| failures >= GUESSES && now.since(*last) < GUESS_WINDOW)
}

/// Number of wrong codes in a row that make the next sign-in suspicious.
const GUESSES: u32 = 3;

/// Time after the last wrong code during which a sign-in is suspicious.
const GUESS_WINDOW: Duration = Duration::from_secs(10 * 60);

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
    fn name_of_a_device_does_not_reorder_its_alert() {
        let findings = SignInFindings {
            device: Recognition::New,
            network: Recognition::Known,
            failures: 0,
            last_failed: None,
            now: Timestamp::from_millis(1_795_451_460_007),
        };
        let from = Origin {
            address: "192.0.2.7".to_owned(),
            device_id: Some("d-1".to_owned()),
            device_name: Some("\u{202e}enohp\u{2066}\nyours".to_owned()),
            user_agent: None,
        };
        let alerts = alerts(&UserId::new("u").unwrap(), &from, &findings);
        let message = &alerts.first().unwrap().message;
        assert_eq!(message, "A new device signed in: enohp yours from 192.0.2.7.");
    }

    #[test]
    fn new_device_raises_an_alert_and_on_a_new_network_a_suspicious_login() {
        use Recognition::{First, Known, New};
        let (new, suspicious) = ((AlertType::NewDevice, false), (AlertType::SuspiciousLogin, true));
        assert_eq!(raised(First, First, 0, 0), []);
        assert_eq!(raised(First, New, 0, 0), []);
        assert_eq!(raised(Known, New, 0, 0), []);
        assert_eq!(raised(New, Known, 0, 0), [new]);
        assert_eq!(raised(New, New, 0, 0), [new, suspicious]);
    }

    #[test]
    fn sign_in_within_ten_minutes_of_three_wrong_codes_is_suspicious() {
        let known = |failures, minutes_ago| raised(Recognition::Known, Recognition::Known, failures, minutes_ago);
        let suspicious = (AlertType::SuspiciousLogin, true);
        assert_eq!(known(2, 0), []);
        assert_eq!(known(3, 9), [suspicious]);
        assert_eq!(known(3, 10), []);
        // Two reasons raise one suspicious login.
        assert_eq!(raised(Recognition::New, Recognition::New, 3, 0).len(), 2);
    }
}
