//! Check of printed error chains: no part is repeated in the next one. Each feature builds its errors in its `error_chains`.

use std::error::Error;
use std::fs;
use std::path::Path;

use bus::BusError;
use protocol::fault::chain;
use store::StoreError;
use store::vault::VaultError;

use crate::call::RecallError;

/// Builds an error for each variant and checks its chain. A variant without a row does not compile.
macro_rules! check_chains {
    ($error:ident: $($pattern:pat => $samples:expr),+ $(,)?) => {{
        let _is_exhaustive = |error: &$error| match error { $($pattern => ()),+ };
        $(for sample in $samples {
            let sample: $error = sample;
            $crate::error_chains::assert_no_repetition(&sample);
        })+
    }};
}
pub(crate) use check_chains;

/// Asserts that no part of the printed chain is repeated in the next one.
pub(crate) fn assert_no_repetition(error: &dyn Error) {
    let printed = chain(error);
    let parts: Vec<_> = printed.split(": ").collect();
    assert!(
        parts.iter().zip(parts.iter().skip(1)).all(|(part, next)| part != next),
        "{printed}"
    );
}

/// Errors of the store: each kind, at each of its steps.
pub(crate) fn store_errors() -> impl Iterator<Item = StoreError> {
    let kinds: [fn(&'static str) -> StoreError; 5] = [
        |step| StoreError::Unavailable { step, source: cause() },
        |step| StoreError::Unknown { step, source: cause() },
        |step| StoreError::Broken { step, source: cause() },
        StoreError::TooLate,
        StoreError::SessionEnded,
    ];
    steps("store")
        .into_iter()
        .flat_map(move |step| kinds.map(|kind| kind(step)))
}

/// Errors of the bus: each kind, at each of its steps.
pub(crate) fn bus_errors() -> impl Iterator<Item = BusError> {
    let kinds: [fn(&'static str) -> BusError; 4] = [
        |step| BusError::Unavailable { step, source: cause() },
        |step| BusError::Unreadable { step, source: cause() },
        BusError::Full,
        BusError::Unserved,
    ];
    steps("bus")
        .into_iter()
        .flat_map(move |step| kinds.map(|kind| kind(step)))
        .chain([BusError::Busy])
}

pub(crate) fn vault_errors() -> [VaultError; 3] {
    [VaultError::UnknownKey, VaultError::Altered, VaultError::Malformed]
}

pub(crate) fn recall_errors() -> impl Iterator<Item = RecallError> {
    let unreadable = RecallError::Unreadable(parse_error());
    let vault = vault_errors().map(RecallError::Decrypt).into_iter();
    vault.chain([unreadable, RecallError::Newer])
}

pub(crate) fn parse_error() -> serde_json::Error {
    serde_json::from_str::<u32>("text").unwrap_err()
}

/// Cause below an error of a dependency.
pub(crate) fn cause() -> Box<dyn Error + Send + Sync> {
    "the cause".into()
}

/// Names of the steps in the errors of a crate: the texts in its source that look like one, such as `end the sessions`.
fn steps(package: &str) -> Vec<&'static str> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(package)
        .join("src");
    let mut found = Vec::new();
    let mut folders = vec![source];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.extend(texts(&fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(found.len() > 10, "too few steps in {package}: {found:?}");
    found
}

fn texts(source: &str) -> Vec<&'static str> {
    let code = source.lines().map(str::trim_start);
    let code = code.filter(|line| !line.starts_with("//") && !line.starts_with("#["));
    let literals = code.flat_map(|line| line.split('"').skip(1).step_by(2));
    let is_step = |text: &&str| {
        text.contains(' ')
            && text
                .chars()
                .all(|character| character.is_ascii_lowercase() || " '-".contains(character))
    };
    literals
        .filter(is_step)
        .map(|text| &*Box::leak(text.to_owned().into_boxed_str()))
        .collect()
}

#[test]
#[should_panic(expected = "end the sessions: end the sessions: the cause")]
fn repeated_part_fails_the_check() {
    #[derive(Debug, thiserror::Error)]
    #[error("end the sessions")]
    struct StepError(#[source] StoreError);

    assert_no_repetition(&StepError(StoreError::Unavailable {
        step: "end the sessions",
        source: cause(),
    }));
}
