//! Messages between nodes as bytes: JSON, with the version of its form inside.

use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::{Job, Reply};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::BusError;

/// A message whose form carries a version. What a newer release wrote in a newer form is refused, not half understood.
pub(crate) trait Letter: Serialize + DeserializeOwned {
    /// The newest form that is understood here.
    const NEWEST: u8;
    /// What it is, for errors.
    const NAME: &'static str;

    /// The form of this message.
    fn version(&self) -> u8;

    /// The message as bytes.
    fn write(&self) -> Result<Vec<u8>, BusError> {
        serde_json::to_vec(self).map_err(|error| unreadable::<Self>(Malformed::from(&error)))
    }

    /// Reads what [`Letter::write`] wrote.
    fn read(bytes: &[u8]) -> Result<Self, BusError> {
        let letter: Self =
            serde_json::from_slice(bytes).map_err(|error| unreadable::<Self>(Malformed::from(&error)))?;
        if letter.version() > Self::NEWEST {
            return Err(unreadable::<Self>(NewerForm));
        }
        Ok(letter)
    }
}

impl Letter for Envelope {
    const NEWEST: u8 = Self::VERSION;
    const NAME: &'static str = "an event";

    fn version(&self) -> u8 {
        self.v
    }
}

impl Letter for Job {
    const NEWEST: u8 = Self::VERSION;
    const NAME: &'static str = "a job";

    fn version(&self) -> u8 {
        self.v
    }
}

impl Letter for Reply {
    const NEWEST: u8 = Job::VERSION;
    const NAME: &'static str = "a reply";

    fn version(&self) -> u8 {
        self.v
    }
}

/// Where a message is not what it should be. What stands there is not repeated, unlike in `serde_json`'s own error: it may
/// be a code or a token.
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

/// Why a message that reads well is refused.
#[derive(Debug, thiserror::Error)]
#[error("it has a form that only a newer release understands")]
struct NewerForm;

fn unreadable<L: Letter>(source: impl std::error::Error + Send + Sync + 'static) -> BusError {
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
    fn what_was_written_reads_back() {
        let bytes = reply(Job::VERSION).write().unwrap();
        assert_eq!(Reply::read(&bytes).unwrap(), reply(Job::VERSION));
    }

    #[test]
    fn a_newer_form_is_refused_even_when_it_reads_well() {
        let bytes = reply(Job::VERSION + 1).write().unwrap();
        let error = Reply::read(&bytes).unwrap_err();
        assert_eq!(
            chain(&error),
            "a reply: unreadable: it has a form that only a newer release understands"
        );
    }

    #[test]
    fn an_error_does_not_repeat_what_it_could_not_read() {
        let error = Job::read(br#"{"v":"hunter2"}"#).unwrap_err();
        assert!(!chain(&error).contains("hunter2"), "{}", chain(&error));
    }
}
