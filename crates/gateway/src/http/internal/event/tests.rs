//! Tests: both ways of reading a publish request agree.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use protocol::event::Event;
use protocol::id::{EventId, UserId};
use serde_json::{Value, json};

use super::{Defaults, Publication, PublishedEvent, plain};

/// Event or error of a body, in each of the two ways; `None` where the plain way leaves the body to the lenient one.
fn both(body: &str) -> (Option<PublishedEvent>, Result<PublishedEvent, String>) {
    let (user, id) = (UserId::new("GEN-\"001\"").unwrap(), EventId::new("e-1").unwrap());
    let defaults = Defaults {
        user: &user,
        id: &id,
        now: SystemTime::UNIX_EPOCH + Duration::from_millis(1_796_000_000_007),
    };
    let plain = plain::publication(body.as_bytes());
    let plain = plain.and_then(|plain| plain::event(&plain.event, plain.data.get(), &defaults));
    let lenient = Publication::read_lenient(body.as_bytes()).and_then(|lenient| match lenient.data {
        super::Data::Value(data) => super::lenient_event(&lenient.event, data, &defaults),
        super::Data::Text(_) => panic!("the lenient way reads values"),
    });
    (plain, lenient.map_err(|error| format!("{error:?}")))
}

fn status_changed() -> Value {
    json!({ "event": "account:status_changed", "data": { "accountType": "github", "status": "error" } })
}

#[test]
fn usual_bodies_take_the_plain_way() {
    let alert = json!({ "severity": "high", "type": "suspicious_login", "message": "m", "requiresAction": false });
    let notification =
        json!({ "platform": "github", "type": "mention", "content": "\u{1f511} \"\\", "sender": "s", "x": [1, {}] });
    let mut complete = status_changed();
    complete["data"]["userId"] = json!("GEN-\"001\"");
    complete["data"]["timestamp"] = json!("2026-11-23T16:31:00.007Z");
    complete["data"]["metadata"] = json!({ "errorMessage": "down" });
    for body in [
        status_changed(),
        complete,
        json!({ "event": "security:alert", "data": alert, "idempotencyKey": "k" }),
        json!({ "event": "notification:incoming", "data": notification }),
    ] {
        let (plain, lenient) = both(&body.to_string());
        assert_eq!(plain.unwrap(), lenient.unwrap(), "{body}");
    }
}

#[test]
fn odd_bodies_are_left_to_the_lenient_way() {
    for data in [
        r#"["github","error"]"#,
        r#"{"accountType":"github","status":"error","userId":null}"#,
        r#"{"accountType":"github","status":"error","timestamp":7}"#,
        r#"{"accountType":"github","status":"error","status":"error"}"#,
        r#"{"accountType":"github","status":"error","metadata":{"errorMessage":"\u0000"}}"#,
        r#"{"accountType":"github","status":"error","metadata":{"errorMessage":"\ud83d"}}"#,
        "{}",
        "7",
    ] {
        let body = format!(r#"{{"event":"account:status_changed","data":{data}}}"#);
        assert_eq!(both(&body).0, None, "{data}");
    }
    let own_id = r#"{"event":"security:alert","data":{"alertId":"mine","severity":"high","type":"suspicious_login","message":"m",
        "requiresAction":false}}"#;
    let (plain, lenient) = both(own_id);
    assert_eq!(plain, None);
    assert!(matches!(lenient.unwrap().event, Event::Alert(alert) if alert.alert_id.as_str() == "e-1"));
}

/// Bodies near the valid ones: fields dropped, and replaced by values of any type.
fn near() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        Just(json!("a\u{0}b")),
        Just(json!("GEN-\"001\"")),
        Just(json!("2026-11-23T16:31:00.007Z")),
        Just(json!(["error"])),
        Just(json!({ "connected": null })),
        Just(json!({ "errorMessage": "x", "lastSynced": "2026-11-23T16:31:00Z" })),
        Just(json!(["x", "2026-11-23T16:31:00Z"])),
    ];
    let field = prop::sample::select(vec![
        "userId",
        "timestamp",
        "accountType",
        "status",
        "metadata",
        "alertId",
        "platform",
        "type",
        "content",
        "sender",
        "severity",
        "message",
        "requiresAction",
        "other",
    ]);
    let event = prop::sample::select(vec![
        "account:status_changed",
        "notification:incoming",
        "security:alert",
        "x",
    ]);
    (event, prop::collection::vec((field, prop::option::of(value)), 0..4)).prop_map(|(event, changes)| {
        let mut data = json!({
            "accountType": "github", "status": "error", "platform": "github", "type": "mention", "content": "c", "sender": "s",
            "severity": "high", "message": "m", "requiresAction": true,
        });
        if event == "security:alert" {
            data["type"] = json!("suspicious_login");
        }
        let fields = data.as_object_mut().unwrap();
        for (field, value) in changes {
            match value {
                Some(value) => drop(fields.insert(field.to_owned(), value)),
                None => drop(fields.remove(field)),
            }
        }
        json!({ "event": event, "data": data })
    })
}

proptest! {
    /// The plain way reads nothing that the lenient way refuses or reads differently.
    #[test]
    fn plain_way_agrees_with_the_lenient_way(body in near()) {
        let (plain, lenient) = both(&body.to_string());
        if let Some(event) = plain {
            prop_assert_eq!(Ok(event), lenient);
        }
    }
}
