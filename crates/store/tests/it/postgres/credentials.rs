//! Replaced login: a rotation of the password of Postgres.

use protocol::fault::chain;
use protocol::secret::Secret;
use store::{Accounts, PgSettings, PgStore};
use testkit::Postgres;

use crate::database::{meter, migrate, open_all, settings};
use crate::sample::{audit_keys, user};

#[tokio::test]
async fn open_connections_outlive_the_old_password_and_new_ones_use_the_new_one() {
    let postgres = Postgres::start().await;
    migrate(&postgres.url()).await;
    postgres
        .sql("CREATE ROLE gate LOGIN IN ROLE postern_worker PASSWORD 'before'")
        .await;
    // The server of the tests asks for no password otherwise; the first rule that fits counts.
    let rules = postgres.sql("SHOW hba_file").await.remove(0);
    let others = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&rules, format!("host all gate 127.0.0.1/32 scram-sha-256\n{others}")).unwrap();
    postgres.sql("SELECT pg_reload_conf()").await;
    let with = |password: &str| postgres.url().replace("//postgres@", &format!("//gate:{password}@"));
    let connect = async |password: &str| connect(&settings(&with(password))).await;
    testkit::wait::until_true("passwords to be asked for", testkit::wait::deadline(), async || {
        connect("thief").await.is_err()
    })
    .await;

    let running = settings(&with("before"));
    let store = self::connect(&running).await.unwrap();
    open_all(&store).await;
    postgres.sql("ALTER ROLE gate PASSWORD 'after'").await;
    running.replace_credentials(&Secret::new(with("after"))).unwrap();
    open_all(&store).await;

    postgres
        .sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'gate'")
        .await;
    // The store may take a connection before it has noticed that it was ended.
    testkit::wait::until_true(
        "a connection with the new password",
        testkit::wait::deadline(),
        async || store.accounts(&user("GEN-001")).await.is_ok(),
    )
    .await;
    let error = connect("before").await.unwrap_err();
    assert!(error.contains("password authentication failed"), "{error}");
}

async fn connect(settings: &PgSettings) -> Result<PgStore, String> {
    let connected = PgStore::connect(settings, audit_keys(), &meter()).await;
    connected.map_err(|error| chain(&error))
}
