//! Each `ALL` has every variant: metrics have a series for each of its values from the start, and a missing one would be exposed late.

use std::collections::BTreeSet;
use std::fmt::Debug;

use protocol::account::AccountType;
use protocol::cluster::api_request::ApiRequest;
use protocol::cluster::job::Work;
use protocol::code::{ErrorCode, TokenFault};
use protocol::command::CommandKind;
use protocol::lane::Lane;
use protocol::security::{AlertType, FactorMethod, Severity};
use serde::de::DeserializeOwned;

/// Names of all variants, which serde lists when it refuses another one.
pub(crate) fn variants<T: Debug + DeserializeOwned>() -> Vec<String> {
    let refusal = serde_json::from_str::<T>("\"?\"").unwrap_err().to_string();
    // "unknown variant `?`, expected one of `a`, `b`"
    refusal.split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

/// Asserts that these are the names of all variants.
fn assert_complete<T: Debug + DeserializeOwned>(names: &[&str]) {
    let mut variants = variants::<T>();
    let mut names = names.to_vec();
    variants.sort_unstable();
    names.sort_unstable();
    assert_eq!(names, variants);
}

#[test]
fn lists_of_all_values_have_every_variant() {
    assert_complete::<ErrorCode>(&ErrorCode::ALL.map(ErrorCode::as_str));
    assert_complete::<TokenFault>(&TokenFault::ALL.map(TokenFault::as_str));
    assert_complete::<AccountType>(&AccountType::ALL.map(AccountType::as_str));
    assert_complete::<Lane>(&Lane::ALL.map(Lane::as_str));
    assert_complete::<Severity>(&Severity::ALL.map(Severity::as_str));
    assert_complete::<AlertType>(&AlertType::ALL.map(AlertType::as_str));
    assert_complete::<FactorMethod>(&FactorMethod::ALL.map(FactorMethod::as_str));
}

#[test]
fn names_of_work_have_every_command_and_every_other_kind() {
    let names: BTreeSet<_> = Work::names().collect();
    assert_eq!(ApiRequest::NAMES.len(), variants::<ApiRequest>().len());
    // The variant `command` has a name for each command, and `api_request` one for each request.
    let several = CommandKind::ALL.len() + ApiRequest::NAMES.len();
    assert_eq!(names.len(), variants::<Work>().len() - 2 + several);
    assert_eq!(names.len(), Work::names().count(), "two kinds have one name");
}
