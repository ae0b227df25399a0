//! Properties of the vault's texts and keys.

use lifecycle::{OsEntropy, SeededEntropy};
use proptest::prelude::*;

use super::*;

const NEW: &str = "2026-11:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const OLD: &str = "2025:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA";

fn vault(keys: &str) -> Vault {
    let keys = VaultKeys::parse(&Secret::new(keys)).unwrap();
    Vault::new(keys, Arc::new(SeededEntropy::new(7)))
}

fn user(id: &str) -> UserId {
    UserId::new(id).unwrap()
}

proptest! {
    #[test]
    fn encrypted_text_decrypts_to_the_original(text: String, scope: String, column: String, seed: u64) {
        let keys = VaultKeys::parse(&Secret::new(NEW)).unwrap();
        let vault = Vault::new(keys, Arc::new(SeededEntropy::new(seed)));
        let user = user("GEN-001");
        let binding = Binding { user: &user, scope: &scope, column: &column };
        let opened = vault.decrypt(&binding, &vault.encrypt(&binding, &Secret::new(text.clone()))).unwrap();
        prop_assert_eq!(opened.expose(), text);
    }

    #[test]
    fn flipped_bit_makes_decryption_fail(text in "[ -~]{0,40}", at: prop::sample::Index) {
        let vault = vault(NEW);
        let user = user("GEN-001");
        let binding = Binding { user: &user, scope: "github", column: "access_token" };
        let mut bytes = vault.encrypt(&binding, &Secret::new(text)).as_bytes().to_vec();
        let bit = at.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(vault.decrypt(&binding, &Ciphertext::from_bytes(bytes)).is_err());
    }

    #[test]
    fn arbitrary_bytes_fail_without_panic(bytes: Vec<u8>) {
        let user = user("GEN-001");
        let binding = Binding { user: &user, scope: "github", column: "access_token" };
        prop_assert!(vault(NEW).decrypt(&binding, &Ciphertext::from_bytes(bytes)).is_err());
    }

    #[test]
    fn different_bindings_have_different_associated_data(
        text in "[a-c]{1,6}", one: [prop::sample::Index; 2], other: [prop::sample::Index; 2],
    ) {
        let cut = |indices: [prop::sample::Index; 2]| {
            // A user's id is not empty.
            let user_end = 1 + indices[0].index(text.len());
            let scope_end = user_end + indices[1].index(text.len() - user_end + 1);
            (user_end, scope_end)
        };
        let bytes = |(user_end, scope_end): (usize, usize)| {
            let (rest, column) = text.split_at(scope_end);
            let (id, scope) = rest.split_at(user_end);
            associated("k", &Binding { user: &user(id), scope, column })
        };
        let (one, other) = (cut(one), cut(other));
        prop_assert_eq!(one == other, bytes(one) == bytes(other));
    }
}

#[test]
fn text_of_another_user_platform_or_column_does_not_decrypt() {
    let vault = vault(NEW);
    let (owner, thief) = (user("GEN-001"), user("GEN-002"));
    let home = Binding {
        user: &owner,
        scope: "github",
        column: "access_token",
    };
    let ciphertext = vault.encrypt(&home, &Secret::new("gho_secret"));
    for elsewhere in [
        Binding { user: &thief, ..home },
        Binding {
            scope: "discord",
            ..home
        },
        Binding {
            column: "refresh_token",
            ..home
        },
    ] {
        assert_eq!(vault.decrypt(&elsewhere, &ciphertext).unwrap_err(), VaultError::Altered);
    }
}

#[test]
fn after_key_rotation_old_texts_decrypt_and_new_ones_use_the_new_key() {
    let owner = user("GEN-001");
    let binding = Binding {
        user: &owner,
        scope: "github",
        column: "access_token",
    };
    let old = vault(OLD).encrypt(&binding, &Secret::new("from last year"));

    let rotated = vault(&format!("{NEW},{OLD}"));
    assert_eq!(rotated.decrypt(&binding, &old).unwrap().expose(), "from last year");
    let new = rotated.encrypt(&binding, &Secret::new("from today"));
    assert_eq!(vault(NEW).decrypt(&binding, &new).unwrap().expose(), "from today");
    assert_eq!(vault(OLD).decrypt(&binding, &new).unwrap_err(), VaultError::UnknownKey);
}

#[test]
fn replaced_keys_encrypt_and_sign_from_then_on() {
    let owner = user("GEN-001");
    let binding = Binding {
        user: &owner,
        scope: "github",
        column: "access_token",
    };
    let (vault, text) = (vault(OLD), Secret::new("gho_secret"));
    let audit = vault.keys().audit_keys();
    let old = vault.encrypt(&binding, &text);
    let keys = VaultKeys::parse(&Secret::new(format!("{NEW},{OLD}"))).unwrap();
    audit.replace(&keys.audit_keys());
    vault.replace_keys(keys);
    assert_eq!(vault.encrypt(&binding, &text).key_id(), Some("2026-11"));
    assert_eq!(vault.decrypt(&binding, &old).unwrap().expose(), "gho_secret");
    assert_eq!(
        (vault.encryption_key().as_str(), audit.current().id()),
        ("2026-11", "2026-11")
    );
    vault.replace_keys(VaultKeys::parse(&Secret::new(NEW)).unwrap());
    assert_eq!(vault.decrypt(&binding, &old).unwrap_err(), VaultError::UnknownKey);
}

#[test]
fn hmac_under_encrypted_key_survives_key_rotation() {
    let (owner, thief) = (user("GEN-001"), user("GEN-002"));
    let home = Binding {
        user: &owner,
        scope: "factor",
        column: "recovery",
    };
    let code = Secret::new("ABCDEFGHIJKLMNOP");
    let old = vault(OLD);
    let key = old.new_mac_key(&home);
    let mac = old.mac_under(&key, &home, &code).unwrap();
    assert_ne!(
        mac,
        old.mac_under(&key, &home, &Secret::new("ABCDEFGHIJKLMNOQ")).unwrap()
    );
    assert_ne!(mac, old.mac_under(&old.new_mac_key(&home), &home, &code).unwrap());
    let elsewhere = Binding { user: &thief, ..home };
    assert_eq!(old.mac_under(&key, &elsewhere, &code).unwrap_err(), VaultError::Altered);

    let text = old.decrypt(&home, &key).unwrap();
    let anew = vault(NEW).encrypt(&home, &text);
    assert_eq!(vault(NEW).mac_under(&anew, &home, &code).unwrap(), mac);
    assert_eq!(
        vault(NEW).mac_under(&key, &home, &code).unwrap_err(),
        VaultError::UnknownKey
    );
}

#[test]
fn hmac_without_user_depends_on_label_and_key() {
    let (text, vault_old) = (Secret::new("+436601234567"), vault(OLD));
    let mac = vault_old.mac_without_user("message", &text);
    assert_eq!(mac, vault_old.mac_without_user("message", &text));
    assert_ne!(mac, vault_old.mac_without_user("another", &text));
    assert_ne!(mac, vault(NEW).mac_without_user("message", &text));
}

#[test]
fn hmac_depends_on_its_binding_and_is_found_after_key_rotation() {
    let (owner, thief) = (user("GEN-001"), user("GEN-002"));
    let home = Binding {
        user: &owner,
        scope: "factor",
        column: "recovery",
    };
    let code = Secret::new("ABCDEFGHIJKLMNOP");
    let old = vault(OLD).mac(&home, &code);
    assert_eq!(old, vault(OLD).mac(&home, &code));
    assert_ne!(old, vault(OLD).mac(&home, &Secret::new("ABCDEFGHIJKLMNOQ")));
    assert_ne!(old, vault(OLD).mac(&Binding { user: &thief, ..home }, &code));

    let rotated = vault(&format!("{NEW},{OLD}"));
    assert_eq!(rotated.macs(&home, &code), [vault(NEW).mac(&home, &code), old]);
    assert_eq!(rotated.mac(&home, &code), vault(NEW).mac(&home, &code));
}

#[test]
fn same_text_encrypts_differently_each_time() {
    let owner = user("GEN-001");
    let binding = Binding {
        user: &owner,
        scope: "answer",
        column: "body",
    };
    let vault = Vault::new(VaultKeys::parse(&Secret::new(NEW)).unwrap(), Arc::new(OsEntropy));
    let encrypt = || vault.encrypt(&binding, &Secret::new("the same"));
    assert_ne!(encrypt(), encrypt());
}

#[test]
fn debug_output_reveals_neither_key_nor_text() {
    let owner = user("GEN-001");
    let binding = Binding {
        user: &owner,
        scope: "github",
        column: "access_token",
    };
    let vault = vault(NEW);
    let ciphertext = vault.encrypt(&binding, &Secret::new("gho_secret"));
    let printed = format!("{vault:?} {ciphertext:?}");
    assert_eq!(
        printed,
        "Vault { keys: VaultKeys(1), entropy: SeededEntropy { .. } } Sealed(59 bytes)"
    );
}

#[test]
fn invalid_key_list_is_refused_by_number_and_not_repeated() {
    let key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    for (text, error) in [
        (String::new(), VaultKeysError::NoId(1)),
        (key.to_owned(), VaultKeysError::NoId(1)),
        (format!("{NEW},"), VaultKeysError::NoId(2)),
        (format!(":{key}"), VaultKeysError::BadId(1)),
        (format!("{key}:new"), VaultKeysError::BadId(1)),
        (format!("{NEW},2026-11:{key}"), VaultKeysError::IdTwice(2)),
        (format!("{OLD},new:{key}!"), VaultKeysError::NotBase64(2)),
        ("new:c2hvcnQ=".to_owned(), VaultKeysError::WrongLength(1)),
        (format!("new:{}", "A".repeat(44)), VaultKeysError::WrongLength(1)),
        (format!("new:{}", "A".repeat(400)), VaultKeysError::WrongLength(1)),
    ] {
        let refused = VaultKeys::parse(&Secret::new(text.as_str())).unwrap_err();
        assert_eq!(refused, error, "{text}");
        assert!(!refused.to_string().contains(key));
    }
}

/// Entropy that counts.
#[derive(Debug)]
struct Counting;

impl Entropy for Counting {
    fn fill(&self, out: &mut [u8]) {
        for (byte, count) in out.iter_mut().zip(0..) {
            *byte = count;
        }
    }
}

/// Computed by an implementation of its own from RFC 8439 and draft-irtf-cfrg-xchacha. Other bytes need another version, which the release
/// before reads.
#[test]
fn text_is_encrypted_and_decrypted_in_the_checked_in_format() {
    let keys = VaultKeys::parse(&Secret::new(NEW)).unwrap();
    let vault = Vault::new(keys, Arc::new(Counting));
    let owner = user("GEN-001");
    let binding = Binding {
        user: &owner,
        scope: "github",
        column: "access_token",
    };
    let ciphertext = vault.encrypt(&binding, &Secret::new("gho_secret"));
    assert_eq!(hex(ciphertext.as_bytes()), CIPHERTEXT);
    assert_eq!(vault.decrypt(&binding, &ciphertext).unwrap().expose(), "gho_secret");
    let newer = Ciphertext::from_bytes([&[2][..], &ciphertext.as_bytes()[1..]].concat());
    assert_eq!(vault.decrypt(&binding, &newer).unwrap_err(), VaultError::Malformed);
}

/// Codes that one release has stored are checked by the next.
#[test]
fn hmacs_have_the_checked_in_values() {
    let owner = user("GEN-001");
    let binding = Binding {
        user: &owner,
        scope: "factor",
        column: "recovery",
    };
    let mac = vault(NEW).mac(&binding, &Secret::new("ABCDEFGHIJKLMNOP"));
    assert_eq!(
        hex(&mac),
        "43c3572832e873c4b8ab15d77a5c8676a9288f0da1bacc30162f681604c57d56"
    );
    let mac = vault(NEW).mac_without_user("message", &Secret::new("+436601234567"));
    assert_eq!(
        hex(&mac),
        "0511b84935d3b23f2a566326b242cebf82d928c51e898dc256e9064713b8809b"
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const CIPHERTEXT: &str = "0107323032362d3131000102030405060708090a0b0c0d0e0f10111213141516173c43d1026c53b07ab13d7494b06ba0d231fdf7dbb40901ffe33a";

fn audit_keys(keys: &str) -> AuditKeys {
    VaultKeys::parse(&Secret::new(keys)).unwrap().audit_keys()
}

#[test]
fn protected_text_is_revealed_in_its_row_by_its_key_alone() {
    let keys = audit_keys(NEW).current();
    let (key, stored) = keys.new_user_key("GEN-001");
    let protected = key.protect(b"1", b"192.0.2.7");
    let read = keys.user_key("GEN-001", &stored).unwrap();
    assert_eq!(read.reveal(b"1", &protected), Ok(Some(b"192.0.2.7".to_vec())));
    assert_eq!(read.reveal(b"2", &protected), Err(VaultError::Altered));
    let (another, _) = keys.new_user_key("GEN-001");
    assert_eq!(another.reveal(b"1", &protected), Ok(None));
    assert!(keys.user_key("GEN-002", &stored).is_err());
    for cut in 0..protected.len() {
        assert!(read.reveal(b"1", &protected[..cut]).is_err(), "{cut}");
    }
    for byte in 16..protected.len() {
        let mut altered = protected.clone();
        altered[byte] ^= 1;
        assert_eq!(read.reveal(b"1", &altered), Err(VaultError::Altered), "{byte}");
    }
}

/// A protected text cannot be computed from the vault keys: its key is random, and the stored one is the only copy.
#[test]
fn keys_of_users_are_random_and_do_not_follow_from_the_vault_key() {
    let keys = audit_keys(NEW).current();
    let protect = || keys.new_user_key("GEN-001").0.protect(b"1", b"192.0.2.7");
    assert_ne!(protect(), protect());
}

#[test]
fn key_of_a_user_is_reencrypted_with_the_first_key() {
    let (old, both) = (audit_keys(OLD).current(), format!("{NEW},{OLD}"));
    let (key, stored) = old.new_user_key("GEN-001");
    let protected = key.protect(b"1", b"phone");
    let again = vault(&both).reencrypt_user_key("GEN-001", &stored).unwrap();
    assert_eq!(again.key_id(), Some("2026-11"));
    let read = audit_keys(NEW).current().user_key("GEN-001", &again).unwrap();
    assert_eq!(read.reveal(b"1", &protected), Ok(Some(b"phone".to_vec())));
    assert_eq!(
        vault(NEW).reencrypt_user_key("GEN-001", &stored),
        Err(VaultError::UnknownKey)
    );
}
