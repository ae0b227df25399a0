//! A pretend person at a platform. Everything about one follows from the login, so nothing needs to be registered.

use sha2::{Digest, Sha256};

/// Who lets the application in where nobody is named.
pub const DEFAULT_LOGIN: &str = "octocat";

/// A pretend account; the same login is always the same account, in every simulator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// The name the person signs in with.
    pub(crate) login: String,
    /// The platform's stable number for the account.
    pub(crate) id: u32,
    /// What the person is called.
    pub(crate) name: String,
}

impl Account {
    /// The account with this login.
    pub(crate) fn named(login: &str) -> Self {
        let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(login));
        Self {
            login: login.to_owned(),
            id: u32::from_be_bytes([a, b, c, d]),
            name: format!("{login} (simulated)"),
        }
    }

    /// The number as platforms write it whose ids are 64 bits wide: too large for a float to hold.
    pub(crate) fn snowflake(&self) -> String {
        (1_000_000_000_000_000_000 + u64::from(self.id)).to_string()
    }

    /// The login behind a test code: what follows the prefix, so that a test can name the account it wants.
    /// `None` if this is no test code.
    pub(crate) fn of_test_code(code: &str) -> Option<String> {
        let login = code.strip_prefix("test_code_")?;
        Some(if login.is_empty() { DEFAULT_LOGIN } else { login }.to_owned())
    }
}
