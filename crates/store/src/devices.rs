//! Devices and networks from which users signed in.

use async_trait::async_trait;
use protocol::cluster::origin::Origin;
use protocol::id::UserId;
use protocol::security::Alert;
use protocol::time::Timestamp;

use crate::StoreError;
use crate::alerts::SignIn;
use crate::answers::Receipt;
use crate::operator::SeenOverview;

/// Devices and networks of the last 90 days of each user, and the checks of sign-ins against them.
#[async_trait]
pub trait Devices: Send + Sync {
    /// Records a sign-in and commits the alerts that `alert_rules` returns: rows and events about the session. The alerts and a new
    /// device are recorded in the audit log. Concurrent sign-ins of a user are serialized. A repeat finds nothing new, so the
    /// receipt's answer is not kept.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn check_sign_in(&self, sign_in_check: &SignInCheck<'_>) -> Result<SignInFindings, StoreError>;

    /// Devices and networks of a user, those seen last first, at most [`crate::MAX_LISTED`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn devices(&self, user: &UserId) -> Result<Vec<SeenOverview>, StoreError>;
}

/// Sign-in to be checked.
pub struct SignInCheck<'a> {
    /// User of the socket.
    pub user: &'a UserId,
    /// Session of the socket.
    pub sign_in: &'a SignIn,
    /// Origin of the socket.
    pub from: &'a Origin,
    /// The worker's rules: alerts to raise for these findings. Called again if the transaction is retried.
    pub alert_rules: &'a (dyn Fn(&SignInFindings) -> Vec<Alert> + Send + Sync),
    /// Receipt of the job.
    pub receipt: &'a Receipt,
}

/// Findings of a sign-in check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignInFindings {
    /// Recognition of the device.
    pub device: Recognition,
    /// Recognition of the network.
    pub network: Recognition,
    /// Wrong second factors since the last right one.
    pub failures: u32,
    /// Time of the last wrong second factor.
    pub last_failed: Option<Timestamp>,
    /// The store's time.
    pub now: Timestamp,
}

impl SignInFindings {
    /// True if device and network are known, or the first ones of the user.
    pub(crate) fn has_nothing_new(&self) -> bool {
        self.device != Recognition::New && self.network != Recognition::New
    }
}

/// Recognition of a device or network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recognition {
    /// The user has no known devices: this is the first sign-in.
    First,
    /// The user has not used it, or not within 90 days.
    New,
    /// The user has used it before.
    Known,
}
