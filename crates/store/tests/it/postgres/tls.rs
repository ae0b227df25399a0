//! TLS to Postgres: used when asked for, and never with a server that cannot prove itself.

use protocol::fault::chain;
use store::{Accounts, PgStore, SetupError, migrate};
use testkit::Postgres;
use testkit::tls::Authority;

use crate::database::{meter, settings, store_at};
use crate::sample::{audit_keys, user};

/// The URL of a schema on a TLS server, with these options in place of its own `sslmode`.
fn with_options(url: &str, options: &str) -> String {
    url.replace("sslmode=require", options)
        .replace("sslmode=disable", options)
}

/// Why a store cannot connect, with all causes; fails the test when it can.
async fn refusal(url: &str) -> String {
    let refused = PgStore::connect(&settings(url), audit_keys(), &meter())
        .await
        .unwrap_err();
    assert!(matches!(refused, SetupError::Reach(_)), "{refused:?}");
    let migrating = migrate(&settings(url)).await.unwrap_err();
    assert!(matches!(migrating, SetupError::Reach(_)), "{migrating:?}");
    chain(&refused)
}

#[tokio::test]
async fn a_server_that_proves_itself_is_used_over_tls() {
    let postgres = Postgres::start_tls().await;
    let schema = postgres.schema().await;
    for mode in ["require", "verify-ca", "verify-full", "prefer"] {
        let options = format!("sslmode={mode}&sslrootcert={}", postgres.ca_pem_path().display());
        let url = with_options(&schema.url(), &options);
        migrate(&settings(&url)).await.unwrap();
        let store = store_at(&url).await;
        assert!(store.accounts(&user("GEN-001")).await.unwrap().is_empty());
        let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                         WHERE application_name = 'postern'";
        assert_eq!(schema.sql(encrypted).await, ["t"], "{mode}");
    }
}

#[tokio::test]
async fn a_server_of_another_authority_is_refused() {
    let (postgres, stranger) = (Postgres::start_tls().await, Authority::new());
    for mode in ["require", "prefer"] {
        let options = format!("sslmode={mode}&sslrootcert={}", stranger.pem_path().display());
        let why = refusal(&with_options(&postgres.url(), &options)).await;
        assert!(why.contains("invalid peer certificate"), "{why}");
    }
    // Nor is it one that the system believes.
    for options in ["sslmode=require", "sslrootcert=system"] {
        let url = with_options(&postgres.url(), options);
        let why = PgStore::connect(&settings(&url), audit_keys(), &meter())
            .await
            .unwrap_err();
        assert!(
            matches!(why, SetupError::Reach(_) | SetupError::Tls(_)),
            "{options}: {why:?}"
        );
        assert!(!chain(&why).contains("read system"), "{}", chain(&why));
    }
}

#[tokio::test]
async fn a_server_of_another_name_is_refused() {
    let postgres = Postgres::start_tls().await;
    let options = format!("sslmode=require&sslrootcert={}", postgres.ca_pem_path().display());
    // The certificate is for localhost, 127.0.0.1 and ::1.
    let url = with_options(&postgres.url(), &options).replace("127.0.0.1", "127.0.0.2");
    let elsewhere = format!("{url}&hostaddr=127.0.0.1");
    let why = refusal(&elsewhere).await;
    assert!(
        why.contains("not valid for name") || why.contains("NotValidForName"),
        "{why}"
    );
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_required() {
    let schema = Postgres::shared().await.schema().await;
    let authority = Authority::new();
    let options = format!("sslmode=require&sslrootcert={}", authority.pem_path().display());
    let why = refusal(&with_options(&schema.url(), &options)).await;
    assert!(why.contains("server does not support TLS"), "{why}");
}

#[tokio::test]
async fn a_certificate_file_that_cannot_be_believed_stops_the_start() {
    let postgres = Postgres::shared().await;
    let authority = Authority::new();
    let (_certificate, key) = authority.issue_files("no-certificate");
    for file in ["/nowhere.pem".to_owned(), key.display().to_string()] {
        let url = with_options(&postgres.url(), &format!("sslmode=require&sslrootcert={file}"));
        let refused = PgStore::connect(&settings(&url), audit_keys(), &meter())
            .await
            .unwrap_err();
        assert!(matches!(refused, SetupError::Tls(_)), "{refused:?}");
        assert!(chain(&refused).contains(&file), "{}", chain(&refused));
    }
}
