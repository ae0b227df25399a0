//! Strategies for messages: shared parts here, messages in the modules.

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::account::{AccountStatus, AccountType};
use protocol::cluster::offset::{Epoch, Offset};
use protocol::code::{ErrorCode, TokenFault};
use protocol::id::{AlertId, UserId};
use protocol::secret::Secret;
use protocol::security::FactorMethod;
use protocol::time::Timestamp;
use serde_json::{Number, Value};

pub(crate) use self::answer::{answer, failure};
pub(crate) use self::command::command;
pub(crate) use self::event::{alert, event, notice};

mod answer;
mod command;
mod event;

/// Offset in its text form.
pub(crate) fn offset() -> impl Strategy<Value = String> {
    ("[0-9a-f]{1,32}", any::<u64>()).prop_map(|(epoch, seq)| {
        let epoch = Epoch::new(epoch).unwrap();
        Offset { epoch, seq }.to_string()
    })
}

/// JSON value, nested a little.
pub(crate) fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // Halves have an exact decimal text.
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 2.0)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 20, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..20).prop_map(Value::from),
            vec((text(), inner), 0..20).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Native request id: text or number.
pub(crate) fn native_id() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|number| Number::from_f64(f64::from(number) / 2.0).map_or(Value::Null, Value::Number)),
    ]
}

/// Text with emoji, quotes and control characters, at times longer than a short length prefix allows.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => any::<String>(), 1 => "\\PC{200,400}", 1 => "[\"\\\\\n\u{0}\u{7f}\u{2028}/,]{0,8}"]
}

fn secret() -> impl Strategy<Value = Secret> {
    text().prop_map(Secret::new)
}

fn user() -> impl Strategy<Value = UserId> {
    "[ -~]{1,128}".prop_map(|id| UserId::new(id).unwrap())
}

fn alert_id() -> impl Strategy<Value = AlertId> {
    "[ -~]{1,128}".prop_map(|id| AlertId::new(id).unwrap())
}

pub(crate) fn timestamp() -> impl Strategy<Value = Timestamp> {
    prop_oneof![any::<i64>(), 0..4_102_444_800_000_i64].prop_map(Timestamp::from_millis)
}

fn account_type() -> impl Strategy<Value = AccountType> {
    proptest::sample::select(&AccountType::ALL)
}

fn account_status() -> impl Strategy<Value = AccountStatus> {
    prop_oneof![
        Just(AccountStatus::Connected),
        Just(AccountStatus::Disconnected),
        Just(AccountStatus::Error),
        Just(AccountStatus::Syncing),
    ]
}

fn token_fault() -> impl Strategy<Value = TokenFault> {
    proptest::sample::select(&TokenFault::ALL)
}

fn code() -> impl Strategy<Value = ErrorCode> {
    proptest::sample::select(&ErrorCode::ALL)
}

fn method() -> impl Strategy<Value = FactorMethod> {
    prop_oneof![
        Just(FactorMethod::Totp),
        Just(FactorMethod::Sms),
        Just(FactorMethod::Email),
    ]
}
