//! Simulated account of a platform. All its data follow from the login, so no account needs to be registered.

use sha2::{Digest, Sha256};

use crate::platform::Platform;

/// Login of a test code and of an event that name none.
pub const DEFAULT_LOGIN: &str = "octocat";

/// Logins that the consent page offers.
pub(crate) const OFFERED_LOGINS: [&str; 4] = [DEFAULT_LOGIN, "ada", "grace", "alan"];

/// Simulated account; the same login is the same account in every simulator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// Login.
    pub(crate) login: String,
    /// Stable id at the platform.
    pub(crate) id: u32,
    /// Display name.
    pub(crate) name: String,
}

impl Account {
    /// Account with this login.
    pub(crate) fn named(login: &str) -> Self {
        let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(login));
        Self {
            login: login.to_owned(),
            id: u32::from_be_bytes([a, b, c, d]),
            name: format!("{login} (simulated)"),
        }
    }

    /// Id as platforms with 64-bit ids write it: too large for a float to represent exactly.
    pub(crate) fn snowflake(&self) -> String {
        (1_000_000_000_000_000_000 + u64::from(self.id)).to_string()
    }

    /// Id at this platform.
    pub(crate) fn id_at(&self, platform: Platform) -> String {
        match platform {
            Platform::Github | Platform::Telegram => self.id.to_string(),
            Platform::Discord | Platform::XTwitter => self.snowflake(),
        }
    }

    /// Path of the picture at this platform.
    pub(crate) fn avatar_path(&self, platform: Platform) -> String {
        format!("/{}/avatars/{}", platform.segment(), self.id_at(platform))
    }

    /// Login of a test code: the part after the prefix, so that a test can name the account it wants. `None` for any other code.
    pub(crate) fn of_test_code(code: &str) -> Option<String> {
        let login = code.strip_prefix("test_code_")?;
        Some(if login.is_empty() { DEFAULT_LOGIN } else { login }.to_owned())
    }
}
