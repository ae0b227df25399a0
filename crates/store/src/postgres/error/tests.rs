//! Printed chains of the store's errors: no part repeats another one.

use std::path::PathBuf;

use refinery::Migration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio_postgres::{Config, NoTls};

use super::*;
use crate::outbox::PublishError;
use crate::postgres::migrate::MigrationError;
use crate::postgres::settings::Roots;
use crate::postgres::{PgSettingsError, RootsError, SetupError, tls};
use crate::sessions::AnnounceError;
use crate::vault::{VaultError, VaultKeysError};
use crate::{AuditRowFault, InvalidAuditRow, VerifyError};

/// Parts of a printed chain.
fn parts(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut parts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        parts.push(error.to_string());
        source = error.source();
    }
    parts
}

/// First part that contains, or is contained in, the next one.
fn repetition(error: &(dyn Error + 'static)) -> Option<String> {
    let parts = parts(error);
    let next = parts.iter().skip(1);
    let mut pairs = parts.iter().zip(next);
    let found = pairs.find(|(part, next)| part.contains(next.as_str()) || next.contains(part.as_str()));
    found.map(|(part, next)| format!("{part:?} and {next:?}"))
}

#[track_caller]
fn assert_says_each_thing_once(error: &(dyn Error + 'static)) {
    assert_eq!(repetition(error), None, "in {:?}", parts(error));
}

/// Error of a client whose server answers its startup message with these bytes and closes the connection.
async fn refused_with(answer: &[u8]) -> tokio_postgres::Error {
    let (client, mut server) = duplex(1_024);
    let config: Config = "user=postgres".parse().unwrap();
    let serve = async {
        let _startup = server.read_u8().await.unwrap();
        server.write_all(answer).await.unwrap();
        drop(server);
    };
    let (connected, ()) = tokio::join!(config.connect_raw(client, NoTls), serve);
    connected.err().unwrap()
}

/// Error that Postgres reports, with this SQLSTATE.
async fn db_error(code: &str) -> tokio_postgres::Error {
    let fields = format!("SFATAL\0VFATAL\0C{code}\0Mpassword authentication failed\0\0");
    let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
    refused_with(&[b"E", length.as_slice(), fields.as_bytes()].concat()).await
}

async fn io_error() -> tokio_postgres::Error {
    let unreachable: Config = "host=/nonexistent user=postgres".parse().unwrap();
    unreachable.connect(NoTls).await.err().unwrap()
}

/// One failure for each variant and for each kind of source.
async fn failures() -> Vec<Failure> {
    let row = serde_json::from_str::<u8>("x").unwrap_err();
    let number = u32::try_from(-1).unwrap_err();
    vec![
        Failure::Open(OpenError::Postgres(db_error("28P01").await)),
        Failure::Open(OpenError::Postgres(io_error().await)),
        Failure::Open(OpenError::Postgres(refused_with(b"").await)),
        Failure::Open(OpenError::ReadOnly),
        Failure::from(PoolError::Backend(OpenError::Postgres(db_error("53300").await))),
        Failure::from(PoolError::Timeout(TimeoutType::Create)),
        Failure::from(PoolError::Timeout(TimeoutType::Wait)),
        Failure::from(PoolError::Closed),
        Failure::Statement(db_error("42P01").await),
        Failure::Statement(db_error("57P01").await),
        Failure::Statement(refused_with(b"").await),
        Failure::row(row),
        Failure::row(number),
        Failure::row(VaultError::UnknownKey),
        Failure::Silent,
        Failure::Commit(Box::new(Failure::Silent)),
        Failure::Commit(Box::new(Failure::Statement(db_error("57P01").await))),
        Failure::TooLate,
        Failure::SessionEnded,
    ]
}

/// Number of the variant. A new one does not compile until it is listed here, and fails until [`failures`] has it.
fn variant(failure: &Failure) -> usize {
    match failure {
        Failure::Open(_) => 0,
        Failure::OpenTimeout => 1,
        Failure::NoConnection => 2,
        Failure::PoolClosed => 3,
        Failure::Statement(_) => 4,
        Failure::Row(_) => 5,
        Failure::Silent => 6,
        Failure::Commit(_) => 7,
        Failure::TooLate => 8,
        Failure::SessionEnded => 9,
    }
}

#[tokio::test]
async fn repetition_is_found_in_the_pools_own_error() {
    let error: PoolError<OpenError> = PoolError::Backend(OpenError::Postgres(db_error("28P01").await));
    assert!(repetition(&error).is_some(), "{:?}", parts(&error));
}

#[tokio::test]
async fn chain_of_every_store_error_says_each_thing_once() {
    let failures = failures().await;
    let covered: Vec<bool> = (0..10)
        .map(|number| failures.iter().any(|failure| variant(failure) == number))
        .collect();
    assert_eq!(covered, [true; 10]);
    for failure in failures {
        let error = failure.during(Step::StoreLink);
        assert_says_each_thing_once(&error);
        assert_says_each_thing_once(&SetupError::from(error));
    }
    for failure in self::failures().await {
        assert_says_each_thing_once(&VerifyError::Store(failure.during(Step::ReadAuditRows)));
    }
}

#[tokio::test]
async fn chain_of_an_open_failure_names_step_and_cause() {
    let failure = Failure::from(PoolError::Backend(OpenError::Postgres(db_error("28P01").await)));
    let expected = ["store the link", "db error", "FATAL: password authentication failed"];
    assert_eq!(parts(&failure.during(Step::StoreLink)), expected);
}

#[test]
fn chain_of_every_setup_error_says_each_thing_once() {
    let missing = tls::connector(&Roots::File(PathBuf::from("/nonexistent.pem"))).err();
    let name = Migration::unapplied("nameless", "").unwrap_err();
    let unfit = rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding);
    let roots = [
        missing.unwrap(),
        RootsError::NoneOfSystem,
        RootsError::Empty(PathBuf::from("ca.pem")),
        RootsError::Unfit(PathBuf::from("ca.pem"), unfit.clone()),
        RootsError::Provider(unfit),
    ];
    let setup = roots.map(SetupError::Tls).into_iter().chain([
        SetupError::Encoding("LATIN1".to_owned()),
        SetupError::Behind { found: 0, needed: 1 },
        SetupError::Migrate(Box::new(MigrationError(name))),
    ]);
    for error in setup {
        assert_says_each_thing_once(&error);
    }
}

#[test]
fn error_without_a_source_is_one_sentence() {
    let row = |fault| InvalidAuditRow {
        user: "GEN-001".to_owned(),
        seq: 1,
        fault,
    };
    let errors: Vec<Box<dyn Error>> = vec![
        Box::new(VerifyError::Broken(row(AuditRowFault::Missing))),
        Box::new(VaultError::Altered),
        Box::new(VaultKeysError::NoId(1)),
        Box::new(PgSettingsError::PoolSize),
        Box::new(AnnounceError),
        Box::new(PublishError),
    ];
    for error in errors {
        assert_eq!(parts(error.as_ref()).len(), 1, "{error}");
    }
}
