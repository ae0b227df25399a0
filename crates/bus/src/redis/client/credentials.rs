//! Login at the server: read anew for each connection, because it may be replaced while the node runs.

use async_trait::async_trait;
use fred::error::Error;
use fred::types::config::{CredentialProvider, Server};
use lifecycle::Reloadable;

use crate::redis::settings::Credentials;

/// Login of fred's new connections. Open ones keep theirs: Redis checks a password at the login alone.
#[derive(Debug)]
pub(super) struct CurrentCredentials(pub(super) Reloadable<Credentials>);

#[async_trait]
impl CredentialProvider for CurrentCredentials {
    async fn fetch(&self, _: Option<&Server>) -> Result<(Option<String>, Option<String>), Error> {
        let credentials = self.0.get();
        let password = credentials.password.as_ref();
        Ok((
            credentials.username.clone(),
            password.map(|password| password.expose().to_owned()),
        ))
    }
}
