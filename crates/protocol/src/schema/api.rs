//! Bodies of the internal API with their schemas.

use schemars::generate::Contract;
use serde_json::{Map, Value};

use super::catalogue::reference_to;
use super::contract::{Contracted, input_name, merge};
use crate::account::AccountType;
use crate::api::{
    AccountList, AlertPage, AuditPage, BatchResults, ConnectionList, DeviceList, DisconnectAnswer, EndSessionsAnswer,
    FactorLockRequest, Problem, Publication, PublicationBatch, PublishedEvent, RevokeAllAnswer, SecondFactor,
    SessionList, UserSettings,
};
use crate::id::{SessionId, UserId};

/// Schemas of the internal API. They are apart from those of the sockets: an answer has no `success` here.
#[derive(Debug)]
pub struct ApiCatalogue {
    /// Definitions of all types, by name.
    pub definitions: Map<String, Value>,
}

/// Adds types to the definitions of one contract.
macro_rules! add {
    ($contracted:ident: $($body:ty),+ $(,)?) => {
        $($contracted.add::<$body>();)+
    };
}

impl ApiCatalogue {
    /// Schemas of all bodies.
    #[must_use]
    pub fn new() -> Self {
        let mut written = Contracted::new(Contract::Serialize);
        add!(written: AccountList, AlertPage, AuditPage, BatchResults, ConnectionList, DeviceList, DisconnectAnswer,
             EndSessionsAnswer, Problem, PublishedEvent<'_>, RevokeAllAnswer, SecondFactor, SessionList, UserSettings);
        let mut read = Contracted::new(Contract::Deserialize);
        add!(read: FactorLockRequest, Publication<'_>, PublicationBatch<'_>);
        // Parameters of paths.
        add!(read: AccountType, SessionId, UserId);
        let mut definitions = written.definitions();
        merge(&mut definitions, read.definitions(), &mut []);
        Self { definitions }
    }

    /// Schema of a response's type.
    #[must_use]
    pub fn response(&self, name: &str) -> Option<Value> {
        self.definitions.contains_key(name).then(|| reference_to(name))
    }

    /// Schema of a request's type.
    #[must_use]
    pub fn request(&self, name: &str) -> Option<Value> {
        self.response(&input_name(name)).or_else(|| self.response(name))
    }
}

impl Default for ApiCatalogue {
    fn default() -> Self {
        Self::new()
    }
}
