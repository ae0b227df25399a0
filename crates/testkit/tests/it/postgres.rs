//! Real Postgres servers: schemas of their own, stops and pauses, TLS.

use std::time::Duration;

use testkit::Postgres;
use testkit::postgres::{PgBouncer, WORKER_ROLE};
use testkit::tls::Authority;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

#[tokio::test]
async fn schemas_of_the_shared_server_are_isolated() {
    let postgres = Postgres::shared().await;
    let (one, other) = (postgres.schema().await, postgres.schema().await);
    one.sql("CREATE TABLE account (id int, name text); INSERT INTO account VALUES (1, 'one'), (2, null)")
        .await;
    other.sql("CREATE TABLE account (id int)").await;
    assert_eq!(one.sql("SELECT * FROM account ORDER BY id").await, ["1\tone", "2\t"]);
    assert!(other.sql("SELECT * FROM account").await.is_empty());
}

#[tokio::test]
async fn url_of_a_schema_sets_the_search_path() {
    let schema = Postgres::shared().await.schema().await;
    let config: Config = schema.owner_url().parse().unwrap();
    let (client, connection) = config.connect(NoTls).await.unwrap();
    let query = async {
        let row = client.query_one("SELECT current_schema()::text", &[]).await.unwrap();
        row.get::<_, String>(0)
    };
    tokio::select! {
        found = query => assert_eq!(found, schema.name()),
        ended = connection => panic!("the connection ended: {ended:?}"),
    }
}

#[tokio::test]
async fn role_of_workers_owns_nothing_and_may_do_what_it_is_granted() {
    let schema = Postgres::shared().await.schema().await;
    let grants = format!(
        "CREATE TABLE kept (id int); GRANT USAGE ON SCHEMA {} TO {WORKER_ROLE}; GRANT INSERT ON kept TO {WORKER_ROLE}",
        schema.name()
    );
    schema.sql(&grants).await;
    let config: Config = schema.url().parse().unwrap();
    let (client, connection) = config.connect(NoTls).await.unwrap();
    let statements = async {
        client.batch_execute("INSERT INTO kept VALUES (7)").await.unwrap();
        for refused in ["SELECT * FROM kept", "DROP TABLE kept", "CREATE TABLE another ()"] {
            assert!(client.batch_execute(refused).await.is_err(), "{refused}");
        }
    };
    tokio::select! {
        () = statements => {}
        ended = connection => panic!("the connection ended: {ended:?}"),
    }
}

#[tokio::test]
async fn dump_contains_text_json_and_bytes() {
    let schema = Postgres::shared().await.schema().await;
    schema.sql("CREATE TABLE kept (a text, b jsonb, c bytea)").await;
    schema
        .sql(r#"INSERT INTO kept VALUES ('in-a-text', '{"k": "in-json"}', 'in-bytes'::bytea)"#)
        .await;
    let dump = schema.dump().await;
    for canary in ["in-a-text", "in-json", "in-bytes"] {
        assert!(dump.contains(canary), "{canary} is missing in:\n{dump}");
    }
}

#[tokio::test]
async fn schema_is_dropped_with_its_handle() {
    let postgres = Postgres::start().await;
    let schema = postgres.schema().await;
    let name = schema.name().to_owned();
    drop(schema);
    let next = postgres.schema().await;
    let left = postgres
        .sql("SELECT nspname FROM pg_namespace WHERE nspname LIKE 't_'")
        .await;
    assert_eq!(left, [next.name()]);
    assert_ne!(next.name(), name);
}

#[tokio::test]
async fn copied_database_has_the_rows_and_is_dropped_with_its_handle() {
    let postgres = Postgres::start().await;
    let database = postgres.database().await;
    database
        .sql("CREATE TABLE kept (id int); INSERT INTO kept VALUES (7)")
        .await;
    let copy = postgres.copy_of(&database).await;
    copy.sql("INSERT INTO kept VALUES (8)").await;
    assert_eq!(copy.sql("SELECT id FROM kept ORDER BY id").await, ["7", "8"]);
    assert_eq!(database.sql("SELECT id FROM kept").await, ["7"]);
    drop(copy);
    let next = postgres.database().await;
    let left = "SELECT datname FROM pg_database WHERE datname LIKE 't_' ORDER BY 1";
    assert_eq!(postgres.sql(left).await, [database.name(), next.name()]);
}

#[tokio::test]
async fn pooler_refuses_options_and_forwards_to_the_server() {
    let postgres = Postgres::start().await;
    let database = postgres.database().await;
    database
        .sql("CREATE TABLE kept (id int); GRANT INSERT ON kept TO postern_worker")
        .await;
    let pooler = PgBouncer::start(&postgres, 1).await;
    let url = database.url_through(pooler.addr());
    let config: Config = url.parse().unwrap();
    let (client, connection) = config.connect(NoTls).await.unwrap();
    let query = async { client.batch_execute("INSERT INTO kept VALUES (7)").await.unwrap() };
    tokio::select! {
        () = query => {}
        ended = connection => panic!("the connection ended: {ended:?}"),
    }
    assert_eq!(database.sql("SELECT id FROM kept").await, ["7"]);
    let config: Config = format!("{url}&options=-c%20work_mem%3D4MB").parse().unwrap();
    assert!(config.connect(NoTls).await.is_err());
}

#[tokio::test]
async fn stopped_server_restarts_with_its_data_on_the_same_port() {
    let mut postgres = Postgres::start().await;
    let port = postgres.port();
    postgres
        .sql("CREATE TABLE kept (id int); INSERT INTO kept VALUES (7)")
        .await;
    postgres.stop().await;
    assert!(tokio::net::TcpStream::connect(postgres.addr()).await.is_err());
    postgres.start_again().await;
    assert_eq!(postgres.port(), port);
    assert_eq!(postgres.sql("SELECT id FROM kept").await, ["7"]);
}

#[tokio::test]
async fn restored_server_has_everything_up_to_the_restore_point_and_nothing_later() {
    let mut postgres = Postgres::start_archiving().await;
    postgres
        .sql("CREATE TABLE kept (id int); INSERT INTO kept VALUES (1)")
        .await;
    let backup = postgres.base_backup().await;
    postgres.sql("INSERT INTO kept VALUES (2)").await;
    postgres.restore_point("noon").await;
    postgres.sql("INSERT INTO kept VALUES (3)").await;
    postgres.restore_point("evening").await;
    postgres.kill().await;
    let restored = backup.restore_to("noon").await;
    assert_eq!(restored.sql("SELECT id FROM kept ORDER BY id").await, ["1", "2"]);
    restored.sql("INSERT INTO kept VALUES (4)").await;
}

#[tokio::test]
async fn commit_waits_for_a_synchronous_standby_that_has_it_after_its_promotion() {
    let mut postgres = Postgres::start().await;
    postgres.sql("CREATE TABLE kept (id int)").await;
    let mut standby = postgres.synchronous_standby().await;
    postgres.sql("INSERT INTO kept VALUES (1)").await;
    standby.pause();
    let waits = tokio::time::timeout(Duration::from_millis(300), postgres.sql("INSERT INTO kept VALUES (2)"));
    assert!(waits.await.is_err());
    postgres.kill().await;
    standby.resume();
    standby.promote().await;
    assert_eq!(standby.sql("SELECT id FROM kept WHERE id = 1").await, ["1"]);
    standby.sql("INSERT INTO kept VALUES (3)").await;
}

#[tokio::test]
async fn pause_stops_existing_connections() {
    let mut postgres = Postgres::start().await;
    let config: Config = postgres.url().parse().unwrap();
    let (client, connection) = config.connect(NoTls).await.unwrap();
    let work = async {
        client.simple_query("SELECT 1").await.unwrap();
        postgres.pause();
        let silence = tokio::time::timeout(Duration::from_millis(200), client.simple_query("SELECT 1")).await;
        assert!(silence.is_err());
        postgres.resume();
        client.simple_query("SELECT 1").await.unwrap();
    };
    tokio::select! {
        () = work => {}
        ended = connection => panic!("the connection ended: {ended:?}"),
    }
}

#[tokio::test]
async fn tls_server_has_a_certificate_of_its_authority_and_refuses_plain_connections() {
    let postgres = Postgres::start_tls().await;
    let schema = postgres.schema().await;
    let tls = |authority: &Authority| MakeRustlsConnect::new((*authority.client()).clone());
    let config: Config = schema.url().parse().unwrap();
    let _accepted = config.connect(tls(postgres.authority().unwrap())).await.unwrap();
    assert!(config.connect(tls(&Authority::new())).await.is_err());
    let plain = schema.url().replace("sslmode=require", "sslmode=disable");
    assert!(plain.parse::<Config>().unwrap().connect(NoTls).await.is_err());
    assert!(
        std::fs::read_to_string(postgres.ca_pem_path())
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
}

#[tokio::test]
async fn statement_log_has_each_transaction_once_with_its_parameters() {
    let postgres = Postgres::start_logging_statements().await;
    let mut log = postgres.statement_log().await;
    let config: Config = postgres.url().parse().unwrap();
    let (mut client, connection) = config.connect(NoTls).await.unwrap();
    let work = async {
        let transaction = client.transaction().await.unwrap();
        let one = "one\ntwo";
        transaction.query("SELECT $1::text,\n2", &[&one]).await.unwrap();
        transaction.commit().await.unwrap();
        client.batch_execute("SELECT 3; SELECT 4").await.unwrap();
    };
    tokio::select! {
        () = work => {}
        ended = connection => panic!("the connection ended: {ended:?}"),
    }
    let transactions = log.take().await;
    let texts: Vec<Vec<&str>> = transactions
        .iter()
        .map(|transaction| transaction.statements.iter().map(|each| each.text.as_str()).collect())
        .collect();
    assert_eq!(
        texts,
        [
            vec!["START TRANSACTION", "SELECT $1::text, 2", "COMMIT"],
            vec!["SELECT 3; SELECT 4"]
        ]
    );
    assert!(transactions[0].contains("two") && !transactions[1].contains("two"));
    assert!(log.take().await.is_empty());
}
