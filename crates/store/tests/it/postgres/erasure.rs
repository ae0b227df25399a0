//! Erasure of a user: what an attacker with the database finds afterwards, and that the audit log stays verifiable.

use data_encoding::HEXLOWER;
use protocol::app_webhook::AppWebhookType;
use protocol::secret::Secret;
use protocol::security::Alert;
use store::vault::{AuditKeys, VaultKeys};
use store::{
    Accounts, Alerts, Audit, Devices, EncryptedColumn, EncryptedColumns, PendingLinks, PersonalDataError, PgStore,
    SessionRecords, SignInCheck, StoreError, UserErasure, VerifyError, rotate_keys, verify_audit,
};
use testkit::postgres::Schema;

use crate::contract::encrypted_columns::{OLD, vault};
use crate::contract::sessions::opening;
use crate::database;
use crate::sample::{NEW, alert, audit_keys, link, origin, pending_link, receipt, sign_in, user};

const USER: &str = "GEN-001";
const ADDRESS: &str = "198.51.100.77";
const DEVICE: &str = "canary-phone";
const ACCOUNT: &str = "canary-4711";
const MESSAGE: &str = "canary message";

/// Texts that identify the person. The last is the network of the address.
const CANARIES: [&str; 5] = [ADDRESS, DEVICE, ACCOUNT, MESSAGE, "198.51.100.0/24"];

/// Leaves traces of the user in every table that has some.
async fn live(store: &PgStore, round: &str) -> Result<(), StoreError> {
    let (from, owner) = (origin(ADDRESS, DEVICE), user(USER));
    let job = |name: &str| {
        let mut receipt = receipt(&format!("{name} {round}"));
        receipt.origin = Some(from.clone());
        receipt
    };
    let mut session = opening(&format!("session {round}"), 0);
    session.origin = from.clone();
    store.open_session(&session, None).await?;
    let check = SignInCheck {
        user: &owner,
        sign_in: &sign_in("session"),
        from: &from,
        alert_rules: &|_findings| Vec::new(),
        receipt: &job("sign in"),
    };
    store.check_sign_in(&check).await?;
    let mut link = link(USER, ACCOUNT);
    link.access_epoch = store.access_epoch(&owner).await?;
    store.link_account(&link, &job("link")).await?;
    let name = round
        .bytes()
        .fold(0_u8, |name, byte| name.wrapping_mul(31).wrapping_add(byte));
    let mut pending = pending_link(USER, ACCOUNT, name);
    pending.access_epoch = store.access_epoch(&owner).await?;
    store.add_pending_link(&pending, &job("pending")).await?;
    let raised = Alert {
        message: MESSAGE.to_owned(),
        ..alert(USER, &format!("alert {round}"))
    };
    store.raise_alert(&raised, &job("alert")).await
}

async fn erase(store: &PgStore, name: &str) -> UserErasure {
    let mut by_operator = receipt(name);
    by_operator.origin = None;
    let erased = store.erase_user(&user(USER), &by_operator).await;
    erased.unwrap().expect("the user is known")
}

/// Canaries that are in any table, as text or as bytes. A finished revocation has no row.
async fn found(schema: &Schema) -> Vec<&'static str> {
    schema.sql("DELETE FROM tasks").await;
    let dump = schema.dump().await;
    let is_found = |canary: &&str| dump.contains(canary) || dump.contains(&HEXLOWER.encode(canary.as_bytes()));
    CANARIES.into_iter().filter(|canary| is_found(canary)).collect()
}

async fn verified_with(store: &PgStore, keys: &AuditKeys) -> Result<u64, String> {
    match verify_audit(store, keys, USER, &[]).await {
        Err(VerifyError::Broken(broken)) => Err(format!("{}: {}", broken.seq, broken.fault)),
        whole => Ok(whole.unwrap()),
    }
}

async fn verified(store: &PgStore) -> Result<u64, String> {
    verified_with(store, &audit_keys()).await
}

/// Number of rows with personal data that is readable, and that is erased.
async fn readable_and_erased(store: &PgStore, keys: &AuditKeys) -> (usize, usize) {
    let rows = store.audit_rows(USER, 0, i64::MAX, 1_000).await.unwrap();
    let with_data: Vec<_> = rows.iter().filter(|row| row.personal.is_some()).collect();
    let erased = with_data
        .iter()
        .filter(|row| row.personal_data(keys) == Err(PersonalDataError::Erased));
    let erased = erased.count();
    (with_data.len() - erased, erased)
}

#[tokio::test]
async fn attacker_with_the_database_finds_nothing_of_an_erased_user() {
    let schema = database::migrated().await;
    let store = database::queueing_store(&schema.url(), &AppWebhookType::ALL).await;
    live(&store, "1").await.unwrap();
    let rows = verified(&store).await.unwrap();
    assert_eq!(found(&schema).await, CANARIES);

    let erased = erase(&store, "erase").await;
    assert_eq!((erased.accounts_unlinked, erased.clear_audit_rows), (1, 0));
    assert!(erased.pending_revocations > 0, "{erased:?}");
    assert_eq!(found(&schema).await, Vec::<&str>::new());
    let last = "SELECT action, subject FROM audit WHERE user_id = 'GEN-001' ORDER BY seq DESC LIMIT 1";
    assert_eq!(schema.sql(last).await, ["user_erased\t"]);
    let of_operators = "SELECT action, subject FROM audit WHERE user_id <> 'GEN-001'";
    assert_eq!(schema.sql(of_operators).await, ["user_erased\tGEN-001"]);
    // Unlinked, pending link dropped, erased.
    assert_eq!(verified(&store).await, Ok(rows + 3));
    let (readable, gone) = readable_and_erased(&store, &audit_keys()).await;
    assert!(readable == 0 && gone >= 4, "{readable} {gone}");

    let again = erase(&store, "again").await;
    assert_eq!((again.accounts_unlinked, again.pending_revocations), (0, 0));
    // The user comes back: a new user with a new key, in the same chain.
    live(&store, "2").await.unwrap();
    verified(&store).await.unwrap();
    let (readable, still_gone) = readable_and_erased(&store, &audit_keys()).await;
    assert!(readable >= 4 && still_gone == gone, "{readable} {still_gone}");
    erase(&store, "at last").await;
    assert_eq!(found(&schema).await, Vec::<&str>::new());
    verified(&store).await.unwrap();
}

#[tokio::test]
async fn unknown_user_is_not_erased_and_leaves_no_row() {
    let schema = database::migrated().await;
    let store = database::store(&schema).await;
    let unknown = store.erase_user(&user("GEN-404"), &receipt("1")).await.unwrap();
    assert_eq!(unknown, None);
    assert!(!store.is_known(&user("GEN-404")).await.unwrap());
    assert_eq!(schema.sql("SELECT user_id FROM audit").await, Vec::<String>::new());
}

#[tokio::test]
async fn erasure_that_fails_in_its_transaction_changes_nothing_there_and_is_repeated() {
    let schema = database::migrated().await;
    let store = database::store(&schema).await;
    live(&store, "1").await.unwrap();
    let rows = verified(&store).await.unwrap();
    schema.sql("ALTER TABLE seen RENAME TO kept").await;
    store.erase_user(&user(USER), &receipt("cut")).await.unwrap_err();
    schema.sql("ALTER TABLE kept RENAME TO seen").await;
    assert_eq!(verified(&store).await, Ok(rows));
    assert_eq!(store.accounts(&user(USER)).await.unwrap().len(), 1);
    erase(&store, "again").await;
    assert_eq!(found(&schema).await, Vec::<&str>::new());
    verified(&store).await.unwrap();
}

#[tokio::test]
async fn user_with_more_alerts_than_a_batch_is_erased() {
    let schema = database::migrated().await;
    let store = database::store(&schema).await;
    live(&store, "1").await.unwrap();
    let many = "INSERT INTO alerts (user_id, alert_id, severity, type, message, at, requires_action) \
                SELECT 'GEN-001', 'a-' || number, 'high', 'suspicious_login', 'canary message', now(), false \
                FROM generate_series(1, 4500) AS number; \
                INSERT INTO outbox (user_id, event_id, envelope, sent_at) \
                SELECT 'GEN-001', 'e-' || number, '{\"event\":\"canary message\"}', now() FROM generate_series(1, 2000) AS number";
    schema.sql(many).await;
    erase(&store, "erase").await;
    assert_eq!(found(&schema).await, Vec::<&str>::new());
}

/// Gateways close the sockets of the user by these notices.
#[tokio::test]
async fn unsent_notices_of_ended_sessions_outlive_the_erasure_and_other_events_do_not() {
    let schema = database::migrated().await;
    let store = database::store(&schema).await;
    live(&store, "1").await.unwrap();
    let events = "INSERT INTO outbox (user_id, event_id, envelope) VALUES \
                  ('GEN-001', 'ended', '{\"event\":\"security:session_expired\"}'), \
                  ('GEN-001', 'other', '{\"event\":\"security:alert\"}')";
    schema.sql(events).await;
    erase(&store, "erase").await;
    let left = "SELECT event_id FROM outbox WHERE user_id = 'GEN-001'";
    assert_eq!(schema.sql(left).await, ["ended"]);
}

#[tokio::test]
async fn changes_of_personal_data_or_of_its_key_are_found() {
    let flip = |byte: &str| {
        format!("UPDATE audit SET personal = set_byte(personal, {byte}, get_byte(personal, {byte}) # 1) WHERE seq = 2")
    };
    let no_key = "1: its personal data cannot be read, and no later row says that the user was erased";
    for (change, fault) in [
        (flip("0"), "2: it was altered"),
        (flip("20"), "2: it was altered"),
        (flip("length(personal) - 1"), "2: it was altered"),
        (
            "UPDATE audit SET personal = NULL WHERE seq = 2".to_owned(),
            "2: it was altered",
        ),
        ("DELETE FROM user_keys".to_owned(), no_key),
        (
            "UPDATE user_keys SET key = set_byte(key, 50, get_byte(key, 50) # 1)".to_owned(),
            no_key,
        ),
    ] {
        let schema = database::migrated().await;
        let store = database::store(&schema).await;
        live(&store, "1").await.unwrap();
        verified(&store).await.unwrap();
        schema
            .sql(&format!("ALTER TABLE audit DISABLE TRIGGER USER; {change}"))
            .await;
        assert_eq!(verified(&store).await, Err(fault.to_owned()), "{change}");
    }
}

#[tokio::test]
async fn key_that_a_backup_brings_back_is_found() {
    let schema = database::migrated().await;
    let store = database::store(&schema).await;
    live(&store, "1").await.unwrap();
    schema.sql("CREATE TABLE backup AS SELECT * FROM user_keys").await;
    erase(&store, "erase").await;
    schema.sql("INSERT INTO user_keys SELECT * FROM backup").await;
    let back = "1: its personal data can be read again, though a later row says that the user was erased";
    assert_eq!(verified(&store).await, Err(back.to_owned()));
}

#[tokio::test]
async fn erasures_beside_the_users_own_commands_leave_a_valid_chain() {
    let schema = database::migrated().await;
    let (store, other) = (database::store(&schema).await, database::store(&schema).await);
    live(&store, "before").await.unwrap();
    let commands = async {
        for round in 0..15 {
            live(&store, &round.to_string()).await.unwrap();
        }
    };
    let erasures = async {
        for round in 0..10 {
            erase(&other, &format!("erase {round}")).await;
            verified(&other).await.unwrap();
        }
    };
    tokio::join!(commands, erasures);
    erase(&other, "at last").await;
    assert_eq!(found(&schema).await, Vec::<&str>::new());
    verified(&store).await.unwrap();
    let (readable, gone) = readable_and_erased(&store, &audit_keys()).await;
    assert!(readable == 0 && gone > 0, "{readable} {gone}");
}

#[tokio::test]
async fn rows_of_an_earlier_release_stay_verifiable_and_are_counted_by_an_erasure() {
    let schema = database::migrated().await;
    let store = database::store(&schema).await;
    let mac = "248155a5c24f27b54578ada748df8a65e50c34e46c530b65e76b985043169ff1";
    let row = format!(
        "INSERT INTO audit_heads (user_id, seq, mac) VALUES ('GEN-001', 1, '\\x{mac}'); \
         INSERT INTO audit (user_id, seq, v, at, action, subject, result, count, session_id, connection_id, address, device, \
         job_id, trace_id, key_id, mac) VALUES ('GEN-001', 1, 2, 1795451460007, 'account_linked', 'github 583231', 'ok', 1, \
         'session', 'connection', '192.0.2.7', 'device', '1', '0000000000000000000000000000beef', 'new', '\\x{mac}')"
    );
    schema.sql(&row).await;
    assert_eq!(verified(&store).await, Ok(1));
    live(&store, "1").await.unwrap();
    let erased = erase(&store, "erase").await;
    assert_eq!(erased.clear_audit_rows, 1);
    verified(&store).await.unwrap();
    // Its MAC is of the clear text, which so stays.
    let clear = "SELECT address FROM audit WHERE v = 2";
    assert_eq!(schema.sql(clear).await, ["192.0.2.7"]);
}

#[tokio::test]
async fn key_rotation_reencrypts_the_keys_of_users_and_rows_stay_readable() {
    let schema = database::migrated().await;
    let keys = |list: &str| VaultKeys::parse(&Secret::new(list)).unwrap().audit_keys();
    let settings = database::settings(&schema.url());
    let before = PgStore::connect(&settings, keys(OLD), &database::meter())
        .await
        .unwrap();
    live(&before, "1").await.unwrap();
    let both = format!("{NEW},{OLD}");
    let rotation = rotate_keys(&before, &vault(&both)).await.unwrap();
    assert_eq!(rotation.reencrypted[&EncryptedColumn::UserKey], 1);
    assert!(!before.has_texts_under(EncryptedColumn::UserKey, "old").await.unwrap());

    let after = PgStore::connect(&settings, keys(&both), &database::meter())
        .await
        .unwrap();
    live(&after, "2").await.unwrap();
    verified_with(&after, &keys(&both)).await.unwrap();
    let (readable, gone) = readable_and_erased(&after, &keys(&both)).await;
    assert!(readable >= 7 && gone == 0, "{readable} {gone}");
    erase(&after, "erase").await;
    assert_eq!(found(&schema).await, Vec::<&str>::new());
    verified_with(&after, &keys(&both)).await.unwrap();
}
