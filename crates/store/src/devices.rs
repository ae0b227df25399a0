//! Devices and networks that users were seen with.

use async_trait::async_trait;
use protocol::cluster::origin::Origin;
use protocol::id::UserId;
use protocol::security::Alert;
use protocol::time::Timestamp;

use crate::StoreError;
use crate::alerts::SignIn;
use crate::answers::Receipt;

/// What a user was seen with in the last 90 days, and whether there was anything before.
#[async_trait]
pub trait Devices: Send + Sync {
    /// Takes note of where a user came from, and commits what `alert_rules` makes of it: alerts are rows and events about
    /// the session, and these and a device that is new are told in the audit log. Of several at once each sees what the ones before have noted. Done again,
    /// there is nothing new; so of the receipt no answer is kept.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn check_sign_in(&self, sign_in_check: &SignInCheck<'_>) -> Result<SignInFindings, StoreError>;
}

/// A user who came.
pub struct SignInCheck<'a> {
    /// Whose socket it is.
    pub user: &'a UserId,
    /// Its session.
    pub sign_in: &'a SignIn,
    /// Where it comes from.
    pub from: &'a Origin,
    /// Which alerts to raise: the rules, which are the worker's. It may be asked again when another transaction was in the way.
    pub alert_rules: &'a (dyn Fn(&SignInFindings) -> Vec<Alert> + Send + Sync),
    /// Who asks.
    pub receipt: &'a Receipt,
}

/// What is new about an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignInFindings {
    /// Whether the user was seen with the device.
    pub device: Recognition,
    /// Whether the user was seen on the network.
    pub network: Recognition,
    /// Wrong second factors since the last right one.
    pub failures: u32,
    /// When the last of them came.
    pub last_failed: Option<Timestamp>,
    /// The store's time.
    pub now: Timestamp,
}

/// Whether something was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recognition {
    /// The user comes for the first time.
    First,
    /// It was not, or was forgotten.
    New,
    /// It was.
    Known,
}
