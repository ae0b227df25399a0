//! Policy of a job's work: commands by their row of the policy table, the jobs of gateways here.

use protocol::cluster::job::{Joined, Work};
use protocol::command::{Effect, Relay};

/// Effect of the work on durable state. A read is answered only if its session still lives; a join answers with open alerts, and
/// records its sign-in whether or not the session lives. A request of the internal API has no session.
pub(super) fn effect(work: &Work) -> Effect {
    match work {
        Work::Command(command) => command.kind().policy().effect,
        Work::Joined(_) => Effect::Read,
        Work::Callback(_)
        | Work::ConfirmLink(_)
        | Work::OpenSession(_)
        | Work::EndAllSessions
        | Work::RaiseAlert(_)
        | Work::Refusals(_)
        | Work::RestoreLog
        | Work::Webhook(_)
        | Work::ApiRequest(_) => Effect::Write,
    }
}

/// Relay of the events that the work wrote for its user.
pub(super) fn relay(work: &Work) -> Relay {
    match work {
        Work::Command(command) => command.kind().policy().relay,
        Work::EndAllSessions => Relay::BeforeAnswer,
        Work::ApiRequest(request) => request.relay(),
        Work::Joined(Joined { unseen: true, .. }) | Work::Callback(_) | Work::ConfirmLink(_) => Relay::WithAnswer,
        // An alert's group publishes it, and the restore of a log is a relay.
        Work::RaiseAlert(_)
        | Work::RestoreLog
        | Work::Joined(Joined { unseen: false, .. })
        | Work::OpenSession(_)
        | Work::Refusals(_)
        | Work::Webhook(_) => Relay::NotNeeded,
    }
}

/// Reports whether the store may have an answer to the work. Repeated without one, the work changes nothing more.
pub(super) fn may_be_answered(work: &Work) -> bool {
    match work {
        Work::OpenSession(_) | Work::Joined(_) | Work::RaiseAlert(_) | Work::RestoreLog => false,
        Work::ApiRequest(request) => request.is_change(),
        Work::Command(_)
        | Work::EndAllSessions
        | Work::Callback(_)
        | Work::ConfirmLink(_)
        | Work::Refusals(_)
        | Work::Webhook(_) => true,
    }
}
