//! Personal data of a row: what identifies the person beyond the id of the user. Rows since version 3 have it encrypted under the
//! user's key, and their MAC authenticates a commitment to it.

use super::{AuditAction, AuditRow, Entry};
use crate::vault::{AuditKeys, UserKey, VaultError};

/// Personal data of a row, in clear.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PersonalData {
    /// Subject, with the platform's id of an account, or with a network.
    pub subject: String,
    /// Client address; empty if unknown.
    pub address: String,
    /// Device name; empty if unknown.
    pub device: String,
}

/// Reason why a row's personal data cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PersonalDataError {
    /// The key was deleted: the user was erased.
    #[error("erased")]
    Erased,
    /// The key of the user is encrypted with a key that is no longer in `POSTERN_VAULT_KEYS`.
    #[error("its key is not among POSTERN_VAULT_KEYS")]
    UnknownKey,
    /// The text is not the one that the row is committed to.
    #[error("altered")]
    Altered,
}

impl AuditRow {
    /// Personal data of the row.
    ///
    /// # Errors
    /// [`PersonalDataError`].
    pub fn personal_data(&self, keys: &AuditKeys) -> Result<PersonalData, PersonalDataError> {
        let Some(personal) = &self.personal else {
            return Ok(self.in_clear());
        };
        let stored = self.user_key.as_ref().ok_or(PersonalDataError::Erased)?;
        let key = match keys.current().user_key(&self.user, stored) {
            Ok(key) => key,
            Err(VaultError::UnknownKey) => return Err(PersonalDataError::UnknownKey),
            // The stored key of the user is invalid.
            Err(VaultError::Altered | VaultError::Malformed) => return Err(PersonalDataError::Erased),
        };
        let text = key
            .reveal(&self.binding(), personal)
            .map_err(|_altered| PersonalDataError::Altered)?
            .ok_or(PersonalDataError::Erased)?;
        let [subject, address, device] = decode(&text).ok_or(PersonalDataError::Altered)?;
        Ok(PersonalData {
            subject: if subject.is_empty() {
                self.subject.clone()
            } else {
                subject
            },
            address,
            device,
        })
    }

    /// Personal data as it is to be shown: [`ERASED`] stands for a subject that cannot be read.
    #[must_use]
    pub fn shown_personal_data(&self, keys: &AuditKeys) -> PersonalData {
        self.personal_data(keys).unwrap_or_else(|_unreadable| {
            let mut shown = self.in_clear();
            if shown.subject.is_empty() {
                ERASED.clone_into(&mut shown.subject);
            }
            shown
        })
    }

    /// Moves the personal data out of the columns, encrypted under this key.
    pub(super) fn protect(&mut self, key: &UserKey, is_subject_personal: bool) {
        let subject = if is_subject_personal {
            std::mem::take(&mut self.subject)
        } else {
            String::new()
        };
        let (address, device) = (std::mem::take(&mut self.address), std::mem::take(&mut self.device));
        self.personal = Some(key.protect(&self.binding(), &encode([&subject, &address, &device])));
    }

    fn in_clear(&self) -> PersonalData {
        PersonalData {
            subject: self.subject.clone(),
            address: self.address.clone(),
            device: self.device.clone(),
        }
    }

    /// Binding of the personal data: two rows of the same number, one of them lost by a restore, differ in their time.
    fn binding(&self) -> Vec<u8> {
        let mut binding = self.user.as_bytes().to_vec();
        binding.extend_from_slice(&self.seq.to_be_bytes());
        binding.extend_from_slice(&self.at.to_be_bytes());
        binding
    }
}

impl Entry {
    /// True if the subject identifies the person: by an account at a platform, or by a network.
    pub(super) fn is_subject_personal(&self) -> bool {
        use AuditAction as Action;
        match self.action {
            Action::AccountLinked
            | Action::AccountRenewed
            | Action::LinkPending
            | Action::LinkRefused
            | Action::AccountUnlinked
            | Action::AccountDisconnected
            | Action::DeviceSeen
            | Action::TaskRetried
            | Action::RevocationDropped => !self.subject.is_empty(),
            // Numbers, methods, settings, commands, and ids of sessions, alerts, events and jobs.
            Action::AccessRevoked
            | Action::SessionEnded
            | Action::ConfirmationIssued
            | Action::AlertRaised
            | Action::AlertAcknowledged
            | Action::SettingsChanged
            | Action::FactorSetupStarted
            | Action::FactorEnabled
            | Action::FactorDisabled
            | Action::FactorVerified
            | Action::FactorLocked
            | Action::FactorUnlocked
            | Action::FactorReset
            | Action::OperatorCommand
            | Action::AuditRead
            | Action::JobRetried
            | Action::JobDiscarded
            | Action::WebhookRetried
            | Action::WebhookDiscarded
            | Action::UserErased
            | Action::CommandRefused => false,
        }
    }
}

/// Texts, each preceded by its length, and filled up with zeros: the length of a ciphertext says little about them.
fn encode(texts: [&str; 3]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in texts {
        bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

fn decode(mut bytes: &[u8]) -> Option<[String; 3]> {
    let mut texts = [const { String::new() }; 3];
    for text in &mut texts {
        let (length, rest) = bytes.split_first_chunk()?;
        let length = usize::try_from(u64::from_be_bytes(*length)).ok()?;
        let (found, rest) = rest.split_at_checked(length)?;
        std::str::from_utf8(found).ok()?.clone_into(text);
        bytes = rest;
    }
    Some(texts)
}

/// Text that is shown for erased ones.
pub const ERASED: &str = "erased";

/// Personal data takes a multiple of this.
const BLOCK: usize = 64;
