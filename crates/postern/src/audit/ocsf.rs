//! Audit rows as events of the Open Cybersecurity Schema Framework (OCSF) 1.1.

use serde_json::{Map, Value, json};
use store::vault::AuditKeys;
use store::{AuditAction, AuditRow, PersonalData};

/// Event of a row, with its personal data. The row itself, as it is stored, is in `unmapped.postern`.
pub(super) fn event(row: &AuditRow, keys: &AuditKeys) -> Value {
    let personal = row.shown_personal_data(keys);
    let action = AuditAction::ALL
        .into_iter()
        .find(|action| action.as_str() == row.action);
    let class = action.map_or(Class::BASE, Class::of);
    let is_success = row.result == "ok";
    let mut event = json!({
        "activity_id": class.activity,
        "category_uid": class.uid / 1_000,
        "class_uid": class.uid,
        "type_uid": class.uid * 100 + class.activity,
        "time": row.at,
        "severity_id": if is_success { class.severity } else { class.severity.max(LOW) },
        "status_id": if is_success { 1 } else { 2 },
        "status_code": row.result,
        "count": row.count,
        "message": format!("{} {}", row.action, personal.subject),
        "metadata": {
            "version": "1.1.0",
            "product": {
                "name": "Postern",
                "vendor_name": "Postern",
                "version": env!("CARGO_PKG_VERSION"),
            },
            "uid": format!("{}/{}", row.user, row.seq),
            "sequence": row.seq,
            "correlation_uid": row.trace,
            "event_code": row.action,
        },
        "unmapped": { "postern": row },
    });
    if let Value::Object(fields) = &mut event {
        add_parties(fields, &class, row, &personal);
    }
    event
}

/// Adds the user, the origin, and what the class demands.
fn add_parties(event: &mut Map<String, Value>, class: &Class, row: &AuditRow, personal: &PersonalData) {
    let user = json!({ "uid": row.user });
    let mut actor = json!({ "session": { "uid": row.session } });
    match class.uid {
        API_ACTIVITY => {
            actor = json!({ "user": user, "session": { "uid": row.session } });
            event.insert("api".to_owned(), json!({ "operation": personal.subject }));
        }
        DETECTION_FINDING => {
            event.insert(
                "finding_info".to_owned(),
                json!({ "title": row.action, "uid": personal.subject }),
            );
            event.insert("resources".to_owned(), json!([{ "type": "user", "uid": row.user }]));
        }
        _ => {
            event.insert("user".to_owned(), user);
        }
    }
    event.insert("actor".to_owned(), actor);
    if !personal.address.is_empty() {
        event.insert(
            "src_endpoint".to_owned(),
            json!({ "ip": personal.address, "name": personal.device }),
        );
    }
}

/// Class of an action, its activity in that class, and its severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Class {
    uid: u32,
    activity: u32,
    severity: u32,
}

impl Class {
    /// Class of an action of a newer release.
    const BASE: Self = Self::new(0, 0);

    const fn new(uid: u32, activity: u32) -> Self {
        Self {
            uid,
            activity,
            severity: INFORMATIONAL,
        }
    }

    const fn of(action: AuditAction) -> Self {
        use AuditAction as Action;
        match action {
            Action::AccountLinked | Action::AccountRenewed => Self::new(USER_ACCESS, 1),
            Action::LinkPending | Action::LinkRefused | Action::RevocationDropped => Self::new(USER_ACCESS, OTHER),
            Action::AccountUnlinked | Action::AccountDisconnected | Action::AccessRevoked | Action::TaskRetried => {
                Self::new(USER_ACCESS, 2)
            }
            Action::SessionEnded => Self::new(AUTHENTICATION, 2),
            Action::DeviceSeen => Self::new(AUTHENTICATION, 1),
            Action::FactorVerified | Action::ConfirmationIssued => Self::new(AUTHENTICATION, OTHER),
            Action::AlertRaised => Self {
                severity: MEDIUM,
                ..Self::new(DETECTION_FINDING, 1)
            },
            Action::AlertAcknowledged => Self::new(DETECTION_FINDING, 3),
            Action::SettingsChanged | Action::FactorSetupStarted | Action::FactorLocked | Action::FactorUnlocked => {
                Self::new(ACCOUNT_CHANGE, OTHER)
            }
            Action::FactorEnabled => Self::new(ACCOUNT_CHANGE, 10),
            Action::FactorDisabled | Action::FactorReset => Self::new(ACCOUNT_CHANGE, 11),
            Action::CommandRefused => Self::new(API_ACTIVITY, OTHER),
            Action::OperatorCommand | Action::AuditRead => Self::new(API_ACTIVITY, 2),
            Action::JobRetried | Action::WebhookRetried => Self::new(API_ACTIVITY, 1),
            Action::JobDiscarded | Action::WebhookDiscarded => Self::new(API_ACTIVITY, 4),
            Action::UserErased => Self::new(ACCOUNT_CHANGE, 6),
        }
    }
}

// Classes: the category's number, and three digits.
const DETECTION_FINDING: u32 = 2_004;
const ACCOUNT_CHANGE: u32 = 3_001;
const AUTHENTICATION: u32 = 3_002;
const USER_ACCESS: u32 = 3_005;
const API_ACTIVITY: u32 = 6_003;

/// Activity of every class: none of its own.
const OTHER: u32 = 99;

// Severities.
const INFORMATIONAL: u32 = 1;
const LOW: u32 = 2;
const MEDIUM: u32 = 3;

#[cfg(test)]
mod tests {
    use protocol::secret::Secret;
    use store::vault::VaultKeys;

    use super::*;

    fn keys() -> AuditKeys {
        let keys = VaultKeys::parse(&Secret::new("k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="));
        keys.unwrap().audit_keys()
    }

    fn row(action: &str, result: &str) -> AuditRow {
        AuditRow {
            user: "GEN-001".to_owned(),
            seq: 7,
            v: 3,
            at: 1_795_451_460_007,
            action: action.to_owned(),
            subject: "github 583231".to_owned(),
            result: result.to_owned(),
            count: 1,
            session: "s-1".to_owned(),
            connection: "c-1".to_owned(),
            address: "192.0.2.7".to_owned(),
            device: "phone".to_owned(),
            job: "j-1".to_owned(),
            trace: "0af7651916cd43dd8448eb211c80319c".to_owned(),
            key: "k1".to_owned(),
            mac: vec![0xab; 2],
            personal: None,
            user_key: None,
        }
    }

    #[test]
    fn linked_account_is_an_assigned_privilege_with_its_origin() {
        let mut event = event(&row("account_linked", "ok"), &keys());
        let unmapped = event["unmapped"]["postern"].take();
        assert_eq!(
            (&unmapped["mac"], &unmapped["device"]),
            (&json!("abab"), &json!("phone"))
        );
        let expected = json!({
            "activity_id": 1,
            "category_uid": 3,
            "class_uid": 3005,
            "type_uid": 300_501,
            "time": 1_795_451_460_007_i64,
            "severity_id": 1,
            "status_id": 1,
            "status_code": "ok",
            "count": 1,
            "message": "account_linked github 583231",
            "metadata": {
                "version": "1.1.0",
                "product": { "name": "Postern", "vendor_name": "Postern", "version": env!("CARGO_PKG_VERSION") },
                "uid": "GEN-001/7",
                "sequence": 7,
                "correlation_uid": "0af7651916cd43dd8448eb211c80319c",
                "event_code": "account_linked",
            },
            "user": { "uid": "GEN-001" },
            "actor": { "session": { "uid": "s-1" } },
            "src_endpoint": { "ip": "192.0.2.7", "name": "phone" },
            "unmapped": { "postern": null },
        });
        assert_eq!(event, expected);
    }

    #[test]
    fn erased_personal_data_is_named_erased_and_has_no_origin() {
        let erased = AuditRow {
            subject: String::new(),
            address: String::new(),
            device: String::new(),
            personal: Some(vec![0xcd; 64]),
            ..row("account_linked", "ok")
        };
        let event = event(&erased, &keys());
        assert_eq!(event["message"], "account_linked erased");
        assert_eq!(event.get("src_endpoint"), None);
        assert_eq!(event["unmapped"]["postern"]["personal"], "cd".repeat(64));
    }

    /// Numbers as in the classes' definitions at schema.ocsf.io.
    #[test]
    fn actions_have_their_class_and_activity() {
        for (action, class, activity) in [
            ("link_refused", 3_005, 99),
            ("account_unlinked", 3_005, 2),
            ("device_seen", 3_002, 1),
            ("session_ended", 3_002, 2),
            ("factor_enabled", 3_001, 10),
            ("factor_disabled", 3_001, 11),
            ("alert_raised", 2_004, 1),
            ("alert_acknowledged", 2_004, 3),
            ("command_refused", 6_003, 99),
            ("operator_command", 6_003, 2),
            ("user_erased", 3_001, 6),
            ("of_a_newer_release", 0, 0),
        ] {
            let event = event(&row(action, "ok"), &keys());
            assert_eq!(
                (&event["class_uid"], &event["activity_id"]),
                (&json!(class), &json!(activity)),
                "{action}"
            );
            assert_eq!(event["type_uid"], json!(class * 100 + activity), "{action}");
        }
    }

    #[test]
    fn refusal_is_a_failure_of_an_api_call() {
        let event = event(&row("command_refused", "forbidden"), &keys());
        assert_eq!(
            (&event["status_id"], &event["status_code"], &event["severity_id"]),
            (&json!(2), &json!("forbidden"), &json!(2))
        );
        assert_eq!(event["api"]["operation"], "github 583231");
        assert_eq!(event["actor"]["user"]["uid"], "GEN-001");
    }
}
