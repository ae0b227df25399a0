//! TLS to Postgres: used if configured, and never with an unverified server.

use protocol::fault::chain;
use store::{Accounts, PgStore, SetupError, migrate};
use testkit::Postgres;
use testkit::tls::Authority;

use crate::database::{self, meter, settings, store_at};
use crate::sample::{audit_keys, user};

/// URL of a schema on a TLS server, with these options instead of its `sslmode`.
fn with_options(url: &str, options: &str) -> String {
    url.replace("sslmode=require", options)
        .replace("sslmode=disable", options)
}

/// Chain of the error that prevents a store from connecting; fails the test if it connects.
async fn refusal(url: &str) -> String {
    let refused = PgStore::connect(&settings(url), audit_keys(), &meter())
        .await
        .unwrap_err();
    assert!(matches!(refused, SetupError::Reach(_)), "{refused:?}");
    let migrating = migrate(&settings(url), &[]).await.unwrap_err();
    assert!(matches!(migrating, SetupError::Reach(_)), "{migrating:?}");
    chain(&refused)
}

#[tokio::test]
async fn tls_is_used_with_a_verified_server() {
    let postgres = Postgres::start_tls().await;
    let schema = postgres.schema().await;
    for mode in ["require", "verify-ca", "verify-full", "prefer"] {
        let options = format!("sslmode={mode}&sslrootcert={}", postgres.ca_pem_path().display());
        database::migrate(&with_options(&schema.owner_url(), &options)).await;
        let store = store_at(&with_options(&schema.url(), &options)).await;
        assert!(store.accounts(&user("GEN-001")).await.unwrap().is_empty());
        let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                         WHERE application_name = 'postern'";
        assert_eq!(schema.sql(encrypted).await, ["t"], "{mode}");
    }
}

#[tokio::test]
async fn server_of_another_authority_is_refused() {
    let (postgres, stranger) = (Postgres::start_tls().await, Authority::new());
    for mode in ["require", "prefer"] {
        let options = format!("sslmode={mode}&sslrootcert={}", stranger.pem_path().display());
        let error = refusal(&with_options(&postgres.url(), &options)).await;
        assert!(error.contains("invalid peer certificate"), "{error}");
    }
    // The system's root certificates do not include it either.
    for options in ["sslmode=require", "sslrootcert=system"] {
        let url = with_options(&postgres.url(), options);
        let error = PgStore::connect(&settings(&url), audit_keys(), &meter())
            .await
            .unwrap_err();
        assert!(
            matches!(error, SetupError::Reach(_) | SetupError::Tls(_)),
            "{options}: {error:?}"
        );
        assert!(!chain(&error).contains("read system"), "{}", chain(&error));
    }
}

#[tokio::test]
async fn server_of_another_name_is_refused() {
    let postgres = Postgres::start_tls().await;
    let options = format!("sslmode=require&sslrootcert={}", postgres.ca_pem_path().display());
    // The certificate names localhost, 127.0.0.1 and ::1.
    let url = with_options(&postgres.url(), &options).replace("127.0.0.1", "127.0.0.2");
    let elsewhere = format!("{url}&hostaddr=127.0.0.1");
    let error = refusal(&elsewhere).await;
    assert!(
        error.contains("not valid for name") || error.contains("NotValidForName"),
        "{error}"
    );
}

#[tokio::test]
async fn server_without_tls_is_refused_if_tls_is_required() {
    let schema = Postgres::shared().await.schema().await;
    let authority = Authority::new();
    let options = format!("sslmode=require&sslrootcert={}", authority.pem_path().display());
    let error = refusal(&with_options(&schema.url(), &options)).await;
    assert!(error.contains("server does not support TLS"), "{error}");
}

#[tokio::test]
async fn unusable_certificate_file_stops_the_start() {
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
