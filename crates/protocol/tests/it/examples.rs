//! Tables of values and examples in docs/events.md, checked against the types.

use std::collections::BTreeSet;
use std::fmt::Debug;

use protocol::account::{AccountStatus, AccountType};
use protocol::code::TokenFault;
use protocol::command::{Answer, Command, CommandKind};
use protocol::event::{Event, Notice, name};
use protocol::expiry::ExtensionLimit;
use protocol::notification::NotificationType;
use protocol::security::{AlertType, FactorMethod, SessionEnd, Severity};
use protocol::time::Timestamp;
use protocol::wire::auth::Auth;
use protocol::wire::ready::Ready;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::enumerations::variants;

const PAGE: &str = include_str!("../../../../docs/events.md");

#[test]
fn tables_of_values_have_every_variant_of_their_type() {
    assert_documented::<AccountType>("account type");
    assert_documented::<AccountStatus>("account status");
    assert_documented::<Severity>("severity");
    assert_documented::<AlertType>("alert type");
    assert_documented::<NotificationType>("notification type");
    assert_documented::<FactorMethod>("method");
    assert_documented::<SessionEnd>("end of a session");
    assert_documented::<ExtensionLimit>("limit of an extension");
    assert_documented::<TokenFault>("token fault");
}

#[test]
fn every_example_is_the_exact_value_of_its_type() {
    for example in examples() {
        let data = field(&example, "data");
        assert_eq!(written(name_of(&example), &data), data, "{example}");
    }
}

#[test]
fn every_expires_at_of_an_example_is_the_earlier_of_its_ends() {
    let mut count = 0;
    for example in examples() {
        for expiring in with_expiry(&field(&example, "data")) {
            let session = time(&expiring["sessionExpiresAt"]);
            let token = expiring.get("tokenExpiresAt").map_or(session, time);
            assert_eq!(time(&expiring["expiresAt"]), session.min(token), "{example}");
            let limit = expiring.get("reason").map(read::<ExtensionLimit>);
            if let Some(can_extend) = expiring.get("canExtend") {
                assert_eq!(*can_extend, json!(token > session), "{example}");
                assert_eq!(limit.is_some(), token <= session, "{example}");
            }
            count += 1;
        }
    }
    assert!(count >= 6, "{count}");
}

/// Objects with `expiresAt` in a payload, at any depth.
fn with_expiry(data: &Value) -> Vec<&Value> {
    let inner: Vec<&Value> = match data {
        Value::Object(fields) => fields.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    };
    let own = data.get("expiresAt").map(|_| data);
    own.into_iter().chain(inner.into_iter().flat_map(with_expiry)).collect()
}

fn time(value: &Value) -> Timestamp {
    read(value)
}

#[test]
fn every_event_command_and_answer_has_an_example() {
    let shown: BTreeSet<_> = examples().iter().map(|example| name_of(example).to_owned()).collect();
    let notices = [
        name::TWO_FACTOR_REQUIRED,
        name::SESSION_WARNING,
        name::SESSION_EXPIRED,
        name::RESYNC,
        name::ERROR,
        name::READY,
        name::AUTH,
    ];
    let commands = CommandKind::ALL
        .iter()
        .flat_map(|kind| [kind.event(), kind.response_event()]);
    let names = Event::NAMES.iter().copied().chain(notices).chain(commands);
    let expected: BTreeSet<_> = names.map(str::to_owned).collect();
    assert_eq!(shown, expected);
}

#[test]
fn examples_of_logged_events_have_offset_and_id_and_those_of_notices_have_none() {
    for example in examples() {
        let name = name_of(&example);
        let is_logged = Event::NAMES.contains(&name);
        assert_eq!(example.get("eventId").is_some(), is_logged, "{example}");
        assert_eq!(
            example.get("offset").is_some_and(Value::is_string),
            is_logged,
            "{example}"
        );
    }
}

#[test]
fn fields_of_published_events_are_required_as_documented() {
    for event in [name::ALERT, name::NOTIFICATION, name::STATUS_CHANGED] {
        let example = examples()
            .into_iter()
            .find(|example| name_of(example) == event)
            .unwrap();
        let full = field(&example, "data");
        let rows: Vec<_> = rows("event").filter(|row| quoted(row, 0) == event).collect();
        let documented: BTreeSet<_> = rows.iter().map(|row| quoted(row, 1)).collect();
        let fields: BTreeSet<_> = full.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(documented, fields, "fields of {event}");
        for row in rows {
            let field = quoted(row, 1);
            let mut data = full.clone();
            data.as_object_mut().unwrap().remove(field);
            let expected = match decode(event, &data) {
                Ok(_) => "| optional |",
                Err(_) if DEFAULTED.contains(&field) => "| default: ",
                Err(_) => "| yes |",
            };
            assert!(row.contains(expected), "{expected}: {row}");
        }
    }
}

/// Required fields that the internal API adds (`gateway::http::internal::event`).
const DEFAULTED: [&str; 3] = ["alertId", "timestamp", "userId"];

/// Asserts that the table with this head has the names of all variants, in their sequence.
fn assert_documented<T: Debug + DeserializeOwned>(head: &str) {
    let documented: Vec<_> = rows(head).map(|row| quoted(row, 0)).collect();
    assert_eq!(documented, variants::<T>(), "{head}");
}

/// Rows of the table whose first column has this head.
pub(crate) fn rows(head: &str) -> impl Iterator<Item = &'static str> {
    let head = format!("| {head} |");
    let lines = PAGE.lines().skip_while(move |line| !line.starts_with(&head));
    lines.skip(2).take_while(|line| line.starts_with('|'))
}

/// Text in backquotes of a column.
pub(crate) fn quoted(row: &'static str, column: usize) -> &'static str {
    let cell = row.split(" | ").nth(column).unwrap();
    cell.split('`').nth(1).unwrap()
}

/// JSON blocks of the page.
pub(crate) fn examples() -> Vec<Value> {
    let blocks = PAGE.split("```json\n").skip(1);
    blocks
        .map(|block| {
            let text = block.split("```").next().unwrap();
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
        })
        .collect()
}

fn name_of(example: &Value) -> &str {
    example.get("event").and_then(Value::as_str).unwrap()
}

fn field(example: &Value, name: &str) -> Value {
    example.get(name).unwrap().clone()
}

/// Payload after it was decoded as the type of this event and written again. An unknown field is lost by that, a missing one refused.
fn written(event: &str, data: &Value) -> Value {
    if let Some(kind) = CommandKind::of_event(event) {
        let command = Command::parse(kind, data.clone()).unwrap();
        return field(&serde_json::to_value(&command).unwrap(), "data");
    }
    if Event::NAMES.contains(&event) {
        return value(decode(event, data).unwrap().data().as_str());
    }
    if let Some(kind) = CommandKind::ALL.into_iter().find(|kind| kind.response_event() == event) {
        if data.get("success") == Some(&json!(false)) {
            let failure = kind.failure(read(data), &json!({"accountType": "github"}));
            return value(failure.data().as_str());
        }
        return value(answer(kind, data).data().as_str());
    }
    match event {
        name::READY => serde_json::to_value(read::<Ready>(data)).unwrap(),
        name::AUTH => auth(data),
        _ => value(notice(event, data).data().as_str()),
    }
}

fn decode(event: &str, data: &Value) -> serde_json::Result<Event> {
    let data = data.clone();
    Ok(match event {
        name::STATUS_CHANGED => Event::StatusChanged(serde_json::from_value(data)?),
        name::ALERT => Event::Alert(serde_json::from_value(data)?),
        name::SETTINGS_UPDATED => Event::SettingsUpdated(serde_json::from_value(data)?),
        name::NOTIFICATION => Event::Notification(serde_json::from_value(data)?),
        _ => panic!("no event of the event log: {event}"),
    })
}

fn notice(event: &str, data: &Value) -> Notice {
    match event {
        name::TWO_FACTOR_REQUIRED => Notice::TwoFactorRequired(read(data)),
        name::SESSION_WARNING => Notice::SessionWarning(read(data)),
        name::SESSION_EXPIRED => Notice::SessionExpired(read(data)),
        name::RESYNC => Notice::Resync,
        name::ERROR => Notice::Error(read(data)),
        _ => panic!("unknown event {event}"),
    }
}

fn answer(kind: CommandKind, data: &Value) -> Answer {
    match kind {
        CommandKind::Authorize => Answer::Authorize(read(data)),
        CommandKind::Connect => Answer::Connect(read(data)),
        CommandKind::Disconnect => Answer::Disconnect(read(data)),
        CommandKind::Sync => Answer::Sync(read(data)),
        CommandKind::List => Answer::List(read(data)),
        CommandKind::VerifyTwoFactor => Answer::VerifyTwoFactor(read(data)),
        CommandKind::RequestConfirmation => Answer::RequestConfirmation(read(data)),
        CommandKind::RevokeAll => Answer::RevokeAll(read(data)),
        CommandKind::GetSettings => Answer::GetSettings(read(data)),
        CommandKind::UpdateSettings => Answer::UpdateSettings(read(data)),
        CommandKind::ExtendSession => Answer::ExtendSession(read(data)),
        CommandKind::Sessions => Answer::Sessions(read(data)),
        CommandKind::EndSessions => Answer::EndSessions(read(data)),
        CommandKind::Acknowledge => Answer::Acknowledge(read(data)),
        CommandKind::Alerts => Answer::Alerts(read(data)),
        CommandKind::Refresh => Answer::Refresh(read(data)),
    }
}

/// Fields of `auth` that the gateway reads.
fn auth(data: &Value) -> Value {
    let auth = Auth::of_native(data).unwrap();
    let resume = auth.resume.unwrap();
    json!({
        "token": auth.token.unwrap().expose(), "deviceId": auth.device_id, "deviceName": auth.device_name,
        "batching": auth.batching, "resume": {"resumeToken": resume.resume_token, "offset": resume.offset},
    })
}

fn read<T: DeserializeOwned>(data: &Value) -> T {
    serde_json::from_value(data.clone()).unwrap_or_else(|error| panic!("{error}: {data}"))
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}
