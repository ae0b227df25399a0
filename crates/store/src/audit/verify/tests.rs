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
use crate::vault::{Ciphertext, VaultKeys};

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
