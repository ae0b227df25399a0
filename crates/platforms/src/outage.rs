//! Outages of platforms, as the calls find them: one log line at the beginning and one at the end of each.

use std::error::Error;
use std::iter;

use http::StatusCode;
use lifecycle::Dependencies;
use protocol::account::AccountType;
use protocol::fault::chain;

use crate::http::CallError;

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

    /// Records the end of a call. A platform that refuses a call, or limits its rate, is there.
    pub(crate) fn record(&self, platform: AccountType, answer: Result<StatusCode, &CallError>) {
        let Some(dependencies) = &self.0 else { return };
        let dependency = dependencies.on_demand(platform.as_str());
        let by_status = answer.map(CallError::Status);
        let error = match &by_status {
            Ok(status) => status,
            Err(error) => *error,
        };
        match error.outage() {
            Some(class) => dependency.failed(class, chain(error)),
            None => dependency.succeeded(),
        }
    }
}

impl CallError {
    /// Class of a failure of the platform itself; none for an answer that says something about this call.
    fn outage(&self) -> Option<&'static str> {
        match self {
            // The request could not be built.
            Self::NotSent(source) if source.is::<http::Error>() => None,
            Self::NotSent(_) => Some("unreachable"),
            Self::TimedOut(_) => Some("timeout"),
            Self::Broken(_) => Some("broken"),
            Self::Status(status) if status.is_server_error() => Some("server_error"),
            Self::Status(_) | Self::TooLarge | Self::Unreadable => None,
        }
    }
}

/// Reports whether the failure at the end of this chain is part of an outage of a platform, whose beginning and end
/// [`Http::reporting_to`](crate::Http::reporting_to) logs.
#[must_use]
pub fn is_logged_outage(error: &(dyn Error + 'static)) -> bool {
    let mut causes = iter::successors(Some(error), |error| (*error).source());
    let failure = causes.find_map(|error| error.downcast_ref::<CallError>());
    failure.is_some_and(|failure| failure.outage().is_some())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use protocol::account::AccountType::Github;

    use super::*;
    use crate::ApiError;

    fn unavailable(error: CallError) -> ApiError {
        ApiError::Unavailable(Github, error.into())
    }

    #[test]
    fn only_failures_of_the_platform_itself_are_outages() {
        let status = |code| CallError::Status(StatusCode::from_u16(code).unwrap());
        for outage in [CallError::TimedOut(Duration::from_secs(4)), status(500), status(503)] {
            assert!(is_logged_outage(&unavailable(outage)));
        }
        let unbuilt = http::Request::get("no url").body(()).unwrap_err();
        for other in [
            CallError::NotSent(unbuilt.into()),
            CallError::TooLarge,
            CallError::Unreadable,
            status(404),
        ] {
            let error = unavailable(other);
            assert!(!is_logged_outage(&error), "{}", chain(&error));
        }
        assert!(!is_logged_outage(&ApiError::Refused(Github)));
    }
}
