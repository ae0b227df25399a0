//! Tests that verification finds every change of a chain.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::SystemClock;
use proptest::prelude::*;
use proptest::sample::Index;
use protocol::cluster::origin::Origin;
use protocol::id::{ConnectionId, JobId, SessionId};
use protocol::secret::Secret;
use protocol::trace::TraceParent;
use tokio::time::Instant;

use super::super::{AuditAction, ChainEnd, Entry, extend};
use super::*;
use crate::MemoryStore;
use crate::answers::{Actor, Receipt};
use crate::vault::{Ciphertext, VaultKeys, commitment};

const NEW: &str = "2026-11:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const OLD: &str = "2025:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA";

fn keys(list: &str) -> AuditKeys {
    VaultKeys::parse(&Secret::new(list)).unwrap().audit_keys()
}

fn entry(number: usize) -> Entry {
    Entry {
        action: AuditAction::AccountLinked,
        subject: format!("github {number}"),
        result: "ok",
        count: 1,
    }
}

fn receipt(number: usize) -> Receipt {
    Receipt {
        job: JobId::new(format!("job {number}")).unwrap(),
        actor: Actor::Session(SessionId::new("session").unwrap()),
        connection: ConnectionId::new("connection").unwrap(),
        origin: Some(Origin {
            address: "192.0.2.7".to_owned(),
            device_id: Some("device".to_owned()),
            device_name: None,
            user_agent: None,
        }),
        traceparent: TraceParent::begin(7, 7),
        idempotency: None,
        answer: Ciphertext::from_bytes(Vec::new()),
        keep: Duration::ZERO,
        deadline: Instant::now(),
    }
}

/// End of these rows.
fn end(rows: &[AuditRow]) -> ChainEnd {
    ChainEnd {
        head: rows.last().map(AuditRow::head),
        user_key: rows.last().and_then(|row| row.user_key.clone()),
    }
}

/// Extends a chain by `by` rows.
fn grow(rows: &mut Vec<AuditRow>, user: &str, keys: &AuditKeys, by: usize) {
    for number in rows.len()..rows.len() + by {
        let at = i64::try_from(number).unwrap();
        let new = extend(keys, &end(rows), user, at, entry(number), &receipt(number)).unwrap();
        rows.push(new.row);
    }
}

fn chain(length: usize) -> Vec<AuditRow> {
    let mut rows = Vec::new();
    grow(&mut rows, "GEN-001", &keys(NEW), length);
    rows
}

/// Row and fault at which the verification of these rows with this head stops, if it does.
fn first_fault(
    keys: &AuditKeys,
    rows: &[AuditRow],
    head: &ChainHead,
    logged: &[ChainHead],
) -> Option<(i64, AuditRowFault)> {
    let mut verifier = ChainVerifier::new(keys, "GEN-001", Some(head.clone()), logged);
    let mut walked = rows.iter().try_for_each(|row| verifier.step(row));
    if walked.is_ok() {
        walked = verifier.finish();
    }
    walked.err().map(|broken| (broken.seq, broken.fault))
}

/// Alters one field of a row.
fn alter(row: &mut AuditRow, what: usize) {
    match what {
        0 => row.user.push('x'),
        1 => row.seq += 1,
        2 => row.at += 1,
        3 => row.action.push('x'),
        4 => row.subject.push('x'),
        5 => row.result = "forbidden".to_owned(),
        6 => row.count += 1,
        7 => row.session.push('x'),
        8 => row.connection.push('x'),
        9 => row.job.push('x'),
        10 => row.key = "2025".to_owned(),
        11 => row.v += 1,
        // A character moved between adjacent fields leaves their concatenation equal.
        12 => {
            let moved = row.action.pop().unwrap();
            row.subject.insert(0, moved);
        }
        13 => row.address.push('x'),
        14 => row.device.push('x'),
        15 => row.trace.push('x'),
        16 => row.personal = None,
        // Key id, commitment, tag, and the padded end of the ciphertext.
        17..=20 => {
            let personal = row.personal.as_mut().unwrap();
            let byte = [0, 20, 50, personal.len() - 1][what - 17];
            personal[byte] ^= 1;
        }
        _ => row.mac[0] ^= 1,
    }
}

const ALTERATIONS: usize = 22;

proptest! {
    #[test]
    fn altered_row_is_named(length in 1..12_usize, at: Index, what in 0..ALTERATIONS) {
        let both = keys(&format!("{NEW},{OLD}"));
        let whole = chain(length);
        let head = whole[length - 1].head();
        let mut rows = whole.clone();
        let at = at.index(length);
        alter(&mut rows[at], what);
        let (seq, _) = first_fault(&both, &rows, &head, &[]).unwrap();
        prop_assert_eq!(seq, whole[at].seq);
    }

    #[test]
    fn deleted_row_is_named(length in 2..12_usize, at: Index) {
        let mut rows = chain(length);
        let head = rows[length - 1].head();
        let gone = rows.remove(at.index(length));
        prop_assert_eq!(first_fault(&keys(NEW), &rows, &head, &[]), Some((gone.seq, AuditRowFault::Missing)));
    }

    /// Renumbers later rows, as an attacker would to hide a deletion.
    #[test]
    fn deleted_row_is_found_after_renumbering(length in 2..12_usize, at: Index) {
        let mut rows = chain(length);
        let gone = rows.remove(at.index(length - 1));
        for row in &mut rows {
            row.seq -= i64::from(row.seq > gone.seq);
        }
        let head = rows[length - 2].head();
        prop_assert_eq!(first_fault(&keys(NEW), &rows, &head, &[]), Some((gone.seq, AuditRowFault::Altered)));
    }

    #[test]
    fn inserted_row_is_found(length in 1..12_usize, at: Index, theirs: Index) {
        let mut rows = chain(length);
        let mut another = Vec::new();
        grow(&mut another, "GEN-002", &keys(NEW), length);
        let at = at.index(length);
        let inserted = AuditRow {
            user: "GEN-001".to_owned(),
            seq: rows[at].seq,
            ..another[theirs.index(length)].clone()
        };
        for row in &mut rows[at..] {
            row.seq += 1;
        }
        rows.insert(at, inserted);
        let head = rows[length].head();
        let (seq, fault) = first_fault(&keys(NEW), &rows, &head, &[]).unwrap();
        prop_assert_eq!((seq, fault), (rows[at].seq, AuditRowFault::Altered));
    }

    #[test]
    fn swapped_rows_are_found(length in 2..12_usize, one: Index, other: Index) {
        let (one, other) = (one.index(length), other.index(length));
        prop_assume!(one != other);
        let mut rows = chain(length);
        let head = rows[length - 1].head();
        rows.swap(one, other);
        let (here, there) = (rows[one].seq, rows[other].seq);
        rows[one].seq = there;
        rows[other].seq = here;
        let (seq, _) = first_fault(&keys(NEW), &rows, &head, &[]).unwrap();
        prop_assert_eq!(seq, here.min(there));
    }

    #[test]
    fn cut_tail_is_found_by_the_head_or_a_logged_head(
        length in 2..12_usize, left: Index, logged: Index,
    ) {
        let whole = chain(length);
        let left = 1 + left.index(length - 1);
        let rows = &whole[..left];
        let next = whole[left].seq;
        let head = whole[length - 1].head();
        prop_assert_eq!(first_fault(&keys(NEW), rows, &head, &[]), Some((next, AuditRowFault::Missing)));

        let back = rows[left - 1].head();
        prop_assert_eq!(first_fault(&keys(NEW), rows, &back, &[]), None);
        let logged = whole[left + logged.index(length - left)].head();
        prop_assert_eq!(first_fault(&keys(NEW), rows, &back, &[logged]), Some((next, AuditRowFault::Missing)));
    }
}

#[test]
fn head_set_back_before_valid_rows_is_found() {
    let rows = chain(3);
    let found = first_fault(&keys(NEW), &rows, &rows[1].head(), &[]);
    assert_eq!(found, Some((3, AuditRowFault::BeyondHead)));
}

#[test]
fn head_with_another_mac_is_found() {
    let rows = chain(3);
    let head = ChainHead {
        mac: rows[0].mac.clone(),
        ..rows[2].head()
    };
    assert_eq!(
        first_fault(&keys(NEW), &rows, &head, &[]),
        Some((3, AuditRowFault::NotTheHead))
    );
}

/// An attacker with the key can rewrite a tail, but not the logged heads of the old one.
#[test]
fn tail_rewritten_with_the_key_is_found_by_a_logged_head() {
    let mut rows = chain(3);
    let logged = [rows[1].head(), rows[2].head()];
    assert_eq!(first_fault(&keys(NEW), &rows, &logged[1], &logged), None);
    rows.truncate(1);
    grow(&mut rows, "GEN-001", &keys(NEW), 1);
    rows[1].subject = "github 9".to_owned();
    rows[1].mac = keys(NEW).current().sign(&rows[1].message(&rows[0].mac)).to_vec();
    grow(&mut rows, "GEN-001", &keys(NEW), 1);
    let found = first_fault(&keys(NEW), &rows, &rows[2].head(), &logged);
    assert_eq!(found, Some((2, AuditRowFault::NotAsLogged)));
}

/// The chain is cut and extended, and an old row replaces its successor of the same number: both have valid MACs.
#[test]
fn row_restored_from_before_a_cut_is_found() {
    let before = chain(3);
    let mut rows = before[..1].to_vec();
    for number in 1..3 {
        let later = extend(&keys(NEW), &end(&rows), "GEN-001", 99, entry(number), &receipt(number));
        rows.push(later.unwrap().row);
    }
    let head = rows[2].head();
    assert_eq!(first_fault(&keys(NEW), &rows, &head, &[]), None);
    rows[1] = before[1].clone();
    assert_eq!(
        first_fault(&keys(NEW), &rows, &head, &[]),
        Some((3, AuditRowFault::Altered))
    );
}

#[test]
fn row_with_a_number_below_the_first_is_found() {
    let mut rows = chain(2);
    let head = rows[1].head();
    rows.insert(
        0,
        AuditRow {
            seq: 0,
            ..rows[0].clone()
        },
    );
    assert_eq!(
        first_fault(&keys(NEW), &rows, &head, &[]),
        Some((0, AuditRowFault::OutOfSequence))
    );
}

#[test]
fn after_key_rotation_old_rows_verify_while_their_key_is_kept() {
    let mut rows = Vec::new();
    grow(&mut rows, "GEN-001", &keys(OLD), 2);
    let rotated = keys(&format!("{NEW},{OLD}"));
    grow(&mut rows, "GEN-001", &rotated, 2);
    let head = rows[3].head();
    assert_eq!(first_fault(&rotated, &rows, &head, &[]), None);
    assert_eq!(
        first_fault(&keys(NEW), &rows, &head, &[]),
        Some((1, AuditRowFault::UnknownKey))
    );
}

#[test]
fn debug_output_of_audit_keys_reveals_nothing() {
    assert_eq!(format!("{:?}", keys(NEW)), "AuditKeys(1)");
}

#[tokio::test]
async fn user_without_rows_has_a_valid_chain_unless_a_head_was_logged() {
    let store = MemoryStore::new(Arc::new(SystemClock), keys(NEW));
    assert_eq!(verify_audit(&store, &keys(NEW), "GEN-001", &[]).await.unwrap(), 0);
    let logged = chain(2).remove(1).head();
    let cut = verify_audit(&store, &keys(NEW), "GEN-001", &[logged])
        .await
        .unwrap_err();
    assert_eq!(cut.to_string(), "user \"GEN-001\", row 1: it is missing");
}

/// Row as releases before 0.2.0 wrote it, with their MAC.
fn row_of_version_2() -> AuditRow {
    let mac = "06ca18aee9860f160926ede35a20708f8849ddbf82a722e0f31a10fb13bcb476";
    let row = serde_json::json!({
        "user": "GEN-001", "seq": 1, "v": 2, "at": 1_795_451_460_007_i64, "action": "account_linked", "subject": "github 583231",
        "result": "ok", "count": 1, "session": "session", "connection": "connection", "address": "192.0.2.7",
        "device": "device", "job": "1", "trace": "0000000000000000000000000000beef", "key": "2026-11", "mac": mac,
    });
    serde_json::from_value(row).unwrap()
}

/// Row as this version writes it, computed by another implementation of what docs/operations/audit.md describes, and the stored key of its
/// user. Releases to come read it.
#[test]
fn row_of_the_current_version_verifies_and_is_read() {
    let hexadecimal = |digits: &str| data_encoding::HEXLOWER.decode(digits.as_bytes()).unwrap();
    let mac = "d66128ba5f3b9e99ea15ec015a5347560c4fa5cfd91943453b8dabb51c20a0b8";
    let personal = "9bd39730530cd0b9fdd1178f167bd3da48a735f3fd17f095f9fcc436b1d0b7ea45c69599b4d5fd9c6583949f01eec0333edb4173328dbe30\
                    b4f09fcde4c4e936fbca136c1722f1334b224d52d60d0484ac45fe1278d7ff2e96677023089ee72ccc64f7b7eb6fd053684ba597a7ebd12c\
                    0e9a6d0589a885243211ad042afe7c76";
    let stored_key = "0107323032362d3131090909090909090909090909090909090909090909090909120c2a6619fa1db9565550a5f555468b0f362f677982\
                      a42ee169677e8d03bd2080f5b5f6a755477e3905b0787297b784";
    let row = AuditRow {
        v: 3,
        subject: String::new(),
        address: String::new(),
        device: String::new(),
        mac: hexadecimal(mac),
        personal: Some(hexadecimal(personal)),
        user_key: Some(Ciphertext::from_bytes(hexadecimal(stored_key))),
        ..row_of_version_2()
    };
    let keys = keys(NEW);
    let head = row.head();
    assert_eq!(first_fault(&keys, std::slice::from_ref(&row), &head, &[]), None);
    let read = row.personal_data(&keys).unwrap();
    assert_eq!(
        [read.subject, read.address, read.device],
        ["github 583231", "192.0.2.7", "device"]
    );
}

#[test]
fn chain_of_an_earlier_release_verifies_and_goes_on_in_the_new_version() {
    let keys = keys(NEW);
    let mut rows = vec![row_of_version_2()];
    grow(&mut rows, "GEN-001", &keys, 2);
    assert_eq!(rows.iter().map(|row| row.v).collect::<Vec<_>>(), [2, 3, 3]);
    let head = rows[2].head();
    assert_eq!(first_fault(&keys, &rows, &head, &[]), None);
    let clear = rows[0].personal_data(&keys).unwrap();
    assert_eq!([clear.subject, clear.address], ["github 583231", "192.0.2.7"]);
    for alter in [
        |row: &mut AuditRow| row.address = "192.0.2.8".to_owned(),
        |row: &mut AuditRow| row.v = 3,
        |row: &mut AuditRow| row.personal = Some(vec![0; 64]),
    ] {
        let mut altered = rows.clone();
        alter(&mut altered[0]);
        let found = first_fault(&keys, &altered, &head, &[]);
        assert_eq!(found, Some((1, AuditRowFault::Altered)));
    }
}

/// Rows of a user who is erased after the first two, and comes back for two more. They are read with the key of `reads_with`.
fn erased_chain(keys: &AuditKeys, reads_with: usize) -> Vec<AuditRow> {
    let mut rows = Vec::new();
    grow(&mut rows, "GEN-001", keys, 2);
    let without_key = ChainEnd {
        user_key: None,
        ..end(&rows)
    };
    let by_operator = Receipt {
        origin: None,
        ..receipt(2)
    };
    let erasure = extend(keys, &without_key, "GEN-001", 2, Entry::of_erasure(), &by_operator).unwrap();
    assert_eq!((&erasure.new_key, &erasure.row.personal), (&None, &None));
    rows.push(erasure.row);
    grow(&mut rows, "GEN-001", keys, 2);
    let key = rows[reads_with].user_key.clone();
    read_with(&mut rows, key.as_ref());
    rows
}

/// Has these rows read with this key, as a reader does with the stored one.
fn read_with(rows: &mut [AuditRow], key: Option<&Ciphertext>) {
    for row in rows {
        row.user_key = key.cloned();
    }
}

#[test]
fn rows_of_an_erased_user_verify_without_their_personal_data() {
    let keys = keys(NEW);
    let rows = erased_chain(&keys, 4);
    assert_eq!(first_fault(&keys, &rows, &rows[4].head(), &[]), None);
    for row in &rows[..2] {
        assert_eq!(row.personal_data(&keys), Err(PersonalDataError::Erased));
        let shown = row.shown_personal_data(&keys);
        assert_eq!([shown.subject, shown.address, shown.device], ["erased", "", ""]);
    }
    assert_eq!(rows[4].personal_data(&keys).unwrap().subject, "github 4");
}

#[test]
fn missing_or_foreign_key_without_an_erasure_is_found() {
    let keys = keys(NEW);
    let mut rows = erased_chain(&keys, 4);
    let head = rows[4].head();
    let another = chain_of("GEN-002", &keys);
    for key in [None, another[0].user_key.as_ref()] {
        read_with(&mut rows, key);
        let found = first_fault(&keys, &rows, &head, &[]);
        assert_eq!(found, Some((4, AuditRowFault::NoUserKey)));
    }
}

#[test]
fn key_that_is_back_after_an_erasure_is_found() {
    let keys = keys(NEW);
    let rows = erased_chain(&keys, 0);
    let found = first_fault(&keys, &rows, &rows[4].head(), &[]);
    assert_eq!(found, Some((1, AuditRowFault::NotErased)));
}

/// Three rows with the same personal data.
fn chain_of(user: &str, keys: &AuditKeys) -> Vec<AuditRow> {
    let mut rows = Vec::new();
    for _ in 0..3 {
        rows.push(extend(keys, &end(&rows), user, 7, entry(7), &receipt(7)).unwrap().row);
    }
    rows
}

/// An attacker who knows the few texts that a row can have compares them with nothing: equal ones differ in every row and for every user.
#[test]
fn equal_personal_data_has_another_commitment_in_every_row_and_for_every_user() {
    let keys = keys(NEW);
    let rows = ["GEN-001", "GEN-002"].map(|user| chain_of(user, &keys)).concat();
    for (number, row) in rows.iter().enumerate() {
        let personal = row.personal.as_ref().unwrap();
        // Without the id of the key, which the rows of a user share.
        let parts = [&commitment(personal)[16..], &personal[48..]];
        for other in &rows[..number] {
            let other = other.personal.as_ref().unwrap();
            let others = [&commitment(other)[16..], &other[48..]];
            assert!(parts.iter().zip(others).all(|(part, other)| *part != other));
        }
    }
}
