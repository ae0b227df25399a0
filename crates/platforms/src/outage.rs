//! Outages of platforms, as the calls find them: one log line at the beginning and one at the end of each.

use std::fmt::Display;

use lifecycle::Dependencies;
use protocol::account::AccountType;

/// Reporter of outages; without dependencies it reports none. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outages(Option<Dependencies>);

impl Outages {
    /// Reporter to these dependencies, where each platform has its name.
    pub(crate) fn reported_to(dependencies: Dependencies) -> Self {
        Self(Some(dependencies))
    }

    /// Lists a platform before its first call.
    pub(crate) fn list(&self, platform: AccountType) {
        if let Some(dependencies) = &self.0 {
            let _listed = dependencies.on_demand(platform.as_str());
        }
    }

    /// Records the end of a call: a failure of the platform with its class, or an answer. A platform that refuses a call, or limits its
    /// rate, is there.
    pub(crate) fn record(&self, platform: AccountType, failure: Option<(&'static str, impl Display)>) {
        let Some(dependencies) = &self.0 else { return };
        let dependency = dependencies.on_demand(platform.as_str());
        match failure {
            Some((class, error)) => dependency.failed(class, error),
            None => dependency.succeeded(),
        }
    }
}
