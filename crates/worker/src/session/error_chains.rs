//! Errors of sessions, each printed without repetition.

use protocol::id::SessionId;
use store::AnnounceError;

use super::confirm::ConfirmError;
use super::deadlines::CopyError;
use super::end::EndError;
use super::list::ListError;
use super::open::OpenError;
use super::timeout::ApplyTimeoutError;
use super::wrong_codes::CountError;
use crate::error_chains::{bus_errors, check_chains, recall_errors, store_errors};

fn confirm_errors() -> impl Iterator<Item = ConfirmError> {
    store_errors()
        .map(ConfirmError::Store)
        .chain(bus_errors().map(ConfirmError::Bus))
}

fn end_errors() -> Vec<EndError> {
    let mut errors = vec![EndError::NoSession, EndError::Unannounced(AnnounceError)];
    errors.extend(bus_errors().map(EndError::Bus));
    errors.extend(store_errors().map(EndError::Store));
    errors.extend(confirm_errors().map(EndError::Confirm));
    errors.extend(recall_errors().map(EndError::Recall));
    errors
}

#[test]
fn errors_of_sessions_repeat_no_part() {
    check_chains!(OpenError:
        OpenError::Ended => [OpenError::Ended],
        OpenError::Outdated => [OpenError::Outdated],
        OpenError::IdledOut => [OpenError::IdledOut],
        OpenError::Store(_) => store_errors().map(OpenError::Store),
        OpenError::Bus(_) => bus_errors().map(OpenError::Bus),
    );
    check_chains!(EndError:
        EndError::NoSession
            | EndError::Bus(_)
            | EndError::Store(_)
            | EndError::Unannounced(_)
            | EndError::Confirm(_)
            | EndError::Recall(_) => end_errors(),
    );
    check_chains!(ListError:
        ListError::Store(_) => store_errors().map(ListError::Store),
        ListError::Bus(_) => bus_errors().map(ListError::Bus),
    );
    check_chains!(ConfirmError: ConfirmError::Store(_) | ConfirmError::Bus(_) => confirm_errors());
    check_chains!(CopyError:
        CopyError::Store(_) => store_errors().map(CopyError::Store),
        CopyError::Bus(_) => bus_errors().map(CopyError::Bus),
    );
    check_chains!(ApplyTimeoutError:
        ApplyTimeoutError::Store(_) => store_errors().map(ApplyTimeoutError::Store),
        ApplyTimeoutError::Bus(_) => bus_errors().map(ApplyTimeoutError::Bus),
    );
    check_chains!(CountError:
        CountError::Store(_) => store_errors().map(CountError::Store),
        CountError::Id(_) => [CountError::Id(SessionId::new("").unwrap_err())],
        CountError::End(_) => end_errors().into_iter().map(CountError::End),
    );
}
