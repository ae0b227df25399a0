//! Encoding of messages between nodes: JSON with a version number inside.

use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::{Job, Reply};
use protocol::cluster::version::is_newer;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::BusError;

/// Message with a version number. A message of a newer version is rejected, not half understood.
pub(crate) trait VersionedMessage: Serialize + DeserializeOwned {
    /// Newest version that this release decodes.
    const LATEST_VERSION: u8;
    /// Name of the message, for errors.
    const NAME: &'static str;

    /// Version of this message.
    fn version(&self) -> u8;

    /// Encodes the message.
    fn write(&self) -> Result<Vec<u8>, BusError> {
        serde_json::to_vec(self).map_err(|error| unreadable::<Self>(Malformed::from(&error)))
    }

    /// Decodes a message.
    fn read(bytes: &[u8]) -> Result<Self, BusError> {
        // Checked once as a whole: from bytes, serde_json checks each of its strings, and every passed-on JSON text once more.
        let text = str::from_utf8(bytes).map_err(unreadable::<Self>)?;
        let read: Result<Self, _> = serde_json::from_str(text);
        match read {
            Ok(message) if message.version() <= Self::LATEST_VERSION => Ok(message),
            // A newer version may have another shape.
            Ok(_) => Err(unreadable::<Self>(NewerVersion)),
            Err(_) if Self::is_newer(bytes) => Err(unreadable::<Self>(NewerVersion)),
            Err(error) => Err(unreadable::<Self>(Malformed::from(&error))),
        }
    }

    /// Reports whether a message is of a newer version than this release decodes.
    fn is_newer(bytes: &[u8]) -> bool {
        is_newer(bytes, Self::LATEST_VERSION)
    }
}

impl VersionedMessage for Envelope {
    const LATEST_VERSION: u8 = Self::VERSION;
    const NAME: &'static str = "an event";

    fn version(&self) -> u8 {
        self.v
    }
}

impl VersionedMessage for Job {
    const LATEST_VERSION: u8 = Self::LATEST_VERSION;
    const NAME: &'static str = "a job";

    fn version(&self) -> u8 {
        self.v
    }
}

impl VersionedMessage for Reply {
    const LATEST_VERSION: u8 = Job::VERSION;
    const NAME: &'static str = "a reply";

    fn version(&self) -> u8 {
        self.v
    }
}

/// Syntax error of a message. Unlike `serde_json`'s own error it does not quote the input, which may be a code or a token.
#[derive(Debug, thiserror::Error)]
#[error("{category:?} error at column {column}")]
struct Malformed {
    category: serde_json::error::Category,
    column: usize,
}

impl From<&serde_json::Error> for Malformed {
    fn from(error: &serde_json::Error) -> Self {
        Self {
            category: error.classify(),
            column: error.column(),
        }
    }
}

/// Version newer than this release decodes.
#[derive(Debug, thiserror::Error)]
#[error("its version needs a newer release")]
struct NewerVersion;

fn unreadable<L: VersionedMessage>(source: impl std::error::Error + Send + Sync + 'static) -> BusError {
    BusError::Unreadable {
        step: L::NAME,
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use protocol::cluster::job::JobOutcome;
    use protocol::fault::chain;
    use protocol::id::JobId;
    use protocol::json::Json;

    use super::*;

    fn reply(v: u8) -> Reply {
        Reply {
            v,
            job: JobId::new("j-1").unwrap(),
            outcome: JobOutcome {
                error: None,
                leading_notice: None,
                secret: false,
                data: Json::parse(r#"{"success":true}"#.to_owned()).unwrap(),
            },
        }
    }

    #[test]
    fn encoded_message_decodes() {
        let bytes = reply(Job::VERSION).write().unwrap();
        assert_eq!(Reply::read(&bytes).unwrap(), reply(Job::VERSION));
    }

    #[test]
    fn newer_version_is_rejected() {
        let bytes = reply(Job::VERSION + 1).write().unwrap();
        // Whatever else it has.
        for newer in [bytes.as_slice(), br#"{"v":2,"outcomes":[]}"#, br#"{"v":1000}"#] {
            let error = Reply::read(newer).unwrap_err();
            assert_eq!(chain(&error), "a reply: unreadable: its version needs a newer release");
        }
    }

    #[test]
    fn decode_error_does_not_quote_the_input() {
        let error = Job::read(br#"{"v":"hunter2"}"#).unwrap_err();
        assert!(!chain(&error).contains("hunter2"), "{}", chain(&error));
    }
}
