//! Faults that may end without a change of this node: a node that starts waits for their end. All others end the start.

use std::error::Error;
use std::iter;

use super::command_failure::{CommandFailure, waitable};
use super::connect_error::ConnectError;
use super::topology::{ClusterError, SentinelError};
use crate::BusError;

impl ConnectError {
    /// Class of a fault that may end without a change of this node's settings or of the user's permissions, such as `timeout`; none
    /// for every other.
    ///
    /// A wrong password may end: where passwords are rotated, server and node learn the new one at different times.
    #[must_use]
    pub fn outage(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable { source, .. } => match cause(&**source) {
                Some(error) => waitable(error),
                None => Some("unreachable"),
            },
            Self::Unusable { source, .. } => cause(&**source).and_then(waitable),
            Self::NoPrimary { source, .. } => match source.downcast_ref::<ClusterError>() {
                Some(error) => error.outage(),
                None => source.downcast_ref().and_then(SentinelError::outage),
            },
            Self::TooOld { .. } | Self::Missing { .. } | Self::NoReplicationId { .. } | Self::Certificates { .. } => {
                None
            }
        }
    }
}

impl BusError {
    /// Class of a failure that may end without a change of this node, as [`ConnectError::outage`].
    #[must_use]
    pub fn outage(&self) -> Option<&'static str> {
        match failure(self)? {
            CommandFailure::Fred(error) => waitable(error),
            CommandFailure::Unconfirmed => Some("timeout"),
            CommandFailure::ClockSkew => Some("clock_skew"),
            other => other.outage(),
        }
    }
}

/// Reports whether the bus has logged the failure at the end of this chain itself, as part of an outage.
#[must_use]
pub fn is_logged_outage(error: &(dyn Error + 'static)) -> bool {
    let mut causes = iter::successors(Some(error), |error| (*error).source());
    let failure = causes.find_map(|error| error.downcast_ref::<CommandFailure>());
    failure.is_some_and(|failure| failure.outage().is_some())
}

fn failure(error: &BusError) -> Option<&CommandFailure> {
    match error {
        BusError::Unavailable { source, .. } => source.downcast_ref(),
        BusError::Full(_) | BusError::Unserved(_) | BusError::Busy | BusError::Unreadable { .. } => None,
    }
}

/// Error of fred in an error of the first connection or command.
fn cause<'a>(error: &'a (dyn Error + Send + Sync + 'static)) -> Option<&'a fred::error::Error> {
    if let Some(error) = error.downcast_ref() {
        return Some(error);
    }
    match failure(error.downcast_ref()?)? {
        CommandFailure::Fred(error) => Some(error),
        CommandFailure::Unreachable(refusal) => refusal.as_ref(),
        CommandFailure::Opening
        | CommandFailure::Unowned
        | CommandFailure::ClockSkew
        | CommandFailure::TooManyCommands
        | CommandFailure::Unconfirmed => None,
    }
}
