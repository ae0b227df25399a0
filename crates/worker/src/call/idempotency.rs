//! Idempotency key of a client: its scope, and the request that it covers.

use protocol::cluster::job::Job;
use store::Idempotency;

use super::digest::digest;

/// Scope of the key: (user, session, event, key). Its body is the request as we serialize it, so that the client's spelling does not
/// matter.
pub(super) fn of(job: &Job) -> Option<Idempotency> {
    let key = job.idempotency_key.as_ref()?;
    let event = job.work.name();
    let scope = [job.user.as_str(), job.session.as_str(), event, key.as_str()];
    Some(Idempotency {
        scope: digest(scope.map(str::as_bytes)),
        body: digest([canonical(job).as_bytes()]),
    })
}

/// Canonical JSON: fields in the order of their type, no whitespace, unknown fields dropped.
fn canonical(job: &Job) -> String {
    protocol::json::Json::of(&job.work).as_str().to_owned()
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use protocol::cluster::job::Work;
    use protocol::command::{Command, CommandKind};
    use protocol::id::{ConnectionId, JobId, NodeId, SessionId, UserId};
    use protocol::trace::TraceParent;
    use serde_json::{Value, json};

    use super::*;

    fn job(id: &str, session: &str, key: Option<&str>, data: Value) -> Job {
        Job {
            v: Job::VERSION,
            id: JobId::new(id).unwrap(),
            user: UserId::new("u").unwrap(),
            session: SessionId::new(session).unwrap(),
            connection: ConnectionId::new("c").unwrap(),
            node: NodeId::new("n").unwrap(),
            origin: None,
            traceparent: TraceParent::begin(1, 1),
            idempotency_key: key.map(ToOwned::to_owned),
            authenticated_at: None,
            token_expires_at: None,
            work: Work::Command(Command::parse(CommandKind::Sync, data).unwrap()),
        }
    }

    #[test]
    fn another_job_with_the_same_key_and_body_is_the_same_request() {
        let first = job("1", "s", Some("k"), json!({"userId": "u", "accountType": "github"}));
        let spelled_otherwise = json!({"accountType": "github", "more": 1, "userId": "u"});
        assert_eq!(of(&first), of(&job("2", "s", Some("k"), spelled_otherwise)));
        assert!(of(&first).is_some());
    }

    #[test]
    fn another_body_under_the_same_key_has_another_digest() {
        let github = of(&job(
            "1",
            "s",
            Some("k"),
            json!({"userId": "u", "accountType": "github"}),
        ))
        .unwrap();
        let discord = of(&job(
            "2",
            "s",
            Some("k"),
            json!({"userId": "u", "accountType": "discord"}),
        ))
        .unwrap();
        assert_eq!(github.scope, discord.scope);
        assert_ne!(github.body, discord.body);
    }

    #[test]
    fn a_key_is_scoped_to_its_session() {
        let data = json!({"userId": "u", "accountType": "github"});
        let here = of(&job("1", "s", Some("k"), data.clone())).unwrap();
        let there = of(&job("1", "t", Some("k"), data.clone())).unwrap();
        assert_ne!(here.scope, there.scope);
        assert!(of(&job("1", "s", None, data)).is_none());
    }

    /// A key that one release has stored is found by the next. A field that a request gains is left out where it is absent.
    #[test]
    fn digests_of_a_request_have_the_checked_in_values() {
        let data = json!({"userId": "u", "accountType": "github"});
        let idempotency = of(&job("1", "s", Some("k"), data)).unwrap();
        let scope = "75236e50655120fef24183fd77d3bb5dec50934463705b26bbf172d47dd61693";
        let body = "723a9f4c1e5713252a688aa892904e15afdbb0429c8f4373b72c551610fd5c15";
        assert_eq!(HEXLOWER.encode(&idempotency.scope), scope);
        assert_eq!(HEXLOWER.encode(&idempotency.body), body);
    }
}
