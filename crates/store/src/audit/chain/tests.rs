//! Rows of the audit log as this release and the one before write them, checked in: a row lasts for years.
//!
//! The values were computed by an implementation of its own, from the documented encoding.

use std::time::Duration;

use protocol::cluster::origin::Origin;
use protocol::id::{ConnectionId, JobId, SessionId};
use protocol::secret::Secret;
use protocol::trace::TraceParent;
use tokio::time::Instant;

use super::*;
use crate::answers::Actor;
use crate::audit::{AuditAction, PersonalData};
use crate::vault::VaultKeys;

const KEYS: &str = "2026-11:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const AT: i64 = 1_796_054_400_007;
/// MAC of the row before.
const BEFORE: [u8; 32] = [9; 32];

fn keys() -> AuditKeys {
    VaultKeys::parse(&Secret::new(KEYS)).unwrap().audit_keys()
}

fn receipt() -> Receipt {
    Receipt {
        job: JobId::new("j-1").unwrap(),
        actor: Actor::Session(SessionId::new("s-1").unwrap()),
        connection: ConnectionId::new("c-1").unwrap(),
        origin: Some(Origin {
            address: "192.0.2.7".to_owned(),
            device_id: Some("d-1".to_owned()),
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

/// Row 7 of a chain, as it is written now.
fn written() -> AuditRow {
    let head = ChainHead {
        user: "GEN-001".to_owned(),
        seq: 6,
        mac: BEFORE.to_vec(),
        erased: None,
    };
    let end = ChainEnd {
        head: Some(head),
        user_key: Some(Ciphertext::from_bytes(bytes(USER_KEY))),
    };
    let entry = Entry {
        action: AuditAction::AccountLinked,
        subject: "github 583231".to_owned(),
        result: "ok",
        count: 1,
    };
    extend(&keys(), &end, "GEN-001", AT, entry, &receipt()).unwrap().row
}

#[test]
fn row_is_written_and_read_in_the_checked_in_format() {
    let row = written();
    assert_eq!(row.v, 3);
    assert_eq!(row.personal, Some(bytes(PERSONAL)));
    assert_eq!(row.mac, bytes(MAC));
    let personal = PersonalData {
        subject: "github 583231".to_owned(),
        address: "192.0.2.7".to_owned(),
        device: "d-1".to_owned(),
    };
    assert_eq!(row.personal_data(&keys()), Ok(personal));
}

/// Workers of the release before write such rows beside this one.
#[test]
fn row_of_version_2_has_the_checked_in_mac() {
    let row = AuditRow {
        v: 2,
        subject: "github 583231".to_owned(),
        address: "192.0.2.7".to_owned(),
        device: "d-1".to_owned(),
        personal: None,
        user_key: None,
        ..written()
    };
    let is_authentic = keys()
        .current()
        .check(&row.key, &row.message(&BEFORE), &bytes(MAC_OF_VERSION_2));
    assert_eq!(is_authentic, Some(true));
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// Key of the user, bytes 0 to 31, encrypted with nonce 0 to 23.
const USER_KEY: &str = "0107323032362d3131000102030405060708090a0b0c0d0e0f10111213141516170ad9184c144fc658a704dfea780018e371cd3253a4183c481003d1f9eef749f4ee62c1cd1bcde798ef320d285ba938fe";
const PERSONAL: &str = "ba18cc7c5a43b59f1f8f11ce3d037f9b8eb5c519b949f501fa254c1c6d8e6ef98e06e1b00deccbaeb1d02132350ab9078df767b2b626d1b7e8f941644503c26220a0b24cbeb35996a46c04936203d8135abc0f8d59584b5338d2f0ddbb86b1c0352215aacd7bc7db11b8837bef4e4217050c0cf52d09fa750ab16116d8a0f17c";
const MAC: &str = "0b66397a689010e64c6ce566c197de5f6e15754780eeeab448c0a7fef92e4b81";
const MAC_OF_VERSION_2: &str = "1681c0cd163b3d5356c0c8aa4fb2535a7cb7df23402e007c7e49d915c2c631c2";
