//! Messages between nodes are read as they were written.

use proptest::option;
use proptest::prelude::*;
use protocol::account::AccountType;
use protocol::api::FactorLockRequest;
use protocol::cluster::api_request::ApiRequest;
use protocol::cluster::callback::{AuthorizationResponse, Callback, ConfirmLink};
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::cluster::job::{Job, JobOutcome, Joined, OpenSession, RefusedCommand, Reply, Work};
use protocol::cluster::offset::Offset;
use protocol::cluster::origin::Origin;
use protocol::code::ErrorCode;
use protocol::id::{ConnectionId, EventId, JobId, NodeId, SessionId, UserId};
use protocol::secret::Secret;
use protocol::time::Timestamp;
use protocol::trace::TraceParent;
use serde_json::Value;

use crate::strategy;

proptest! {
    #[test]
    fn envelope_is_read_back(event in strategy::event(), id in ID, audience in audience()) {
        let envelope = Envelope { audience, ..Envelope::of(EventId::new(id).unwrap(), &event) };
        let written = serde_json::to_string(&envelope).unwrap();
        prop_assert_eq!(serde_json::from_str::<Envelope>(&written).unwrap(), envelope);
    }

    #[test]
    fn envelope_with_a_trace_is_read_back_and_without_one_has_no_byte_more(
        event in strategy::event(),
        (trace, span, sampled) in any::<(u128, u64, bool)>(),
    ) {
        let plain = Envelope::of(EventId::new("e").unwrap(), &event);
        prop_assert!(!serde_json::to_string(&plain).unwrap().contains("traceparent\":"));
        let traced = Envelope { traceparent: TraceParent::of_span(trace, span, sampled), ..plain };
        let written = serde_json::to_string(&traced).unwrap();
        prop_assert_eq!(serde_json::from_str::<Envelope>(&written).unwrap(), traced);
    }

    #[test]
    fn job_is_read_back(
        work in work(),
        id in ID,
        origin in option::of(origin()),
        (trace, span) in any::<(u128, u64)>(),
        idempotency_key in option::of("[ -~]{1,128}"),
        (authenticated_at, token_expires_at) in (option::of(strategy::timestamp()), option::of(strategy::timestamp())),
    ) {
        let job = Job {
            v: Job::VERSION,
            id: JobId::new(&id).unwrap(),
            user: UserId::new(&id).unwrap(),
            session: SessionId::new(&id).unwrap(),
            connection: ConnectionId::new(&id).unwrap(),
            node: NodeId::new(&id).unwrap(),
            origin,
            traceparent: TraceParent::begin(trace, span),
            idempotency_key,
            authenticated_at,
            token_expires_at,
            work,
        };
        let written = serde_json::to_string(&job).unwrap();
        let read: Job = serde_json::from_str(&written).unwrap();
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), written);
    }

    #[test]
    fn kind_of_a_job_determines_its_name_and_whether_a_dead_letter_keeps_it(work in work()) {
        let written = serde_json::to_value(&work).unwrap();
        let kind = match &written {
            Value::String(kind) => kind,
            Value::Object(kind) => kind.keys().next().unwrap(),
            other => panic!("{other}"),
        };
        prop_assert_eq!(Work::KEPT_KINDS.contains(&kind.as_str()), !work.is_caused_by_client());
        match &work {
            Work::Command(command) => {
                prop_assert_eq!(written["command"]["event"].as_str(), Some(command.kind().event()));
            },
            Work::ApiRequest(_) => prop_assert_eq!(Work::name_of_kind(kind), None),
            other => prop_assert_eq!(Work::name_of_kind(kind), Some(other.name())),
        }
    }

    #[test]
    fn reply_is_read_back(answer in strategy::answer(), failure in strategy::failure(), id in ID) {
        for outcome in [JobOutcome::from(&answer), JobOutcome::from(&failure)] {
            let reply = Reply { v: Job::VERSION, job: JobId::new(&id).unwrap(), outcome };
            let written = serde_json::to_string(&reply).unwrap();
            prop_assert_eq!(serde_json::from_str::<Reply>(&written).unwrap(), reply);
        }
    }

    #[test]
    fn offset_is_read_back(offset in strategy::offset()) {
        prop_assert_eq!(offset.parse::<Offset>().unwrap().to_string(), offset);
    }

    #[test]
    fn timestamp_is_read_back(millis in any::<i64>()) {
        let time = Timestamp::from_millis(millis);
        let written = serde_json::to_string(&time).unwrap();
        prop_assert_eq!(serde_json::from_str::<Timestamp>(&written).unwrap(), time);
    }
}

#[test]
fn envelope_with_an_unreadable_trace_is_read_without_it() {
    for wrong in [r#""00-0-0-0""#, r#""""#, "null", "1", "{}", r#"["00"]"#] {
        let written = format!(r#"{{"v":1,"id":"e","class":"state","event":"e","data":{{}},"traceparent":{wrong}}}"#);
        let read: Envelope = serde_json::from_str(&written).unwrap();
        assert_eq!(read.traceparent, None, "{wrong}");
    }
}

const ID: &str = "[ -~]{1,128}";

fn work() -> impl Strategy<Value = Work> {
    prop_oneof![
        strategy::command().prop_map(Work::Command),
        any::<(bool, bool)>().prop_map(|(unseen, alerts_sent)| Work::Joined(Joined { unseen, alerts_sent })),
        strategy::alert().prop_map(Work::RaiseAlert),
        (".*", any::<u32>()).prop_map(|(command, count)| {
            let error = ErrorCode::Forbidden;
            Work::Refusals(vec![RefusedCommand { command, error, count }])
        }),
        Just(Work::EndAllSessions),
        Just(Work::RestoreLog),
        prop_oneof![
            Just(ApiRequest::RevokeAll),
            ID.prop_map(|id| ApiRequest::EndSession(SessionId::new(id).unwrap())),
            option::of(any::<i64>()).prop_map(|until| {
                let until = until.map(Timestamp::from_millis);
                ApiRequest::LockFactor(FactorLockRequest { until })
            }),
        ]
        .prop_map(Work::ApiRequest),
        (".*", option::of(".*"), response()).prop_map(|(state, issuer, response)| {
            Work::Callback(Callback {
                account: AccountType::Github,
                state: Secret::new(state),
                issuer,
                response,
            })
        }),
        (".*", ".*").prop_map(|(token, cookie)| {
            Work::ConfirmLink(ConfirmLink {
                account: AccountType::Discord,
                token: Secret::new(token),
                cookie: Secret::new(cookie),
            })
        }),
        (
            option::of(any::<i64>()),
            option::of(any::<u64>()),
            ".*",
            option::of(".*")
        )
            .prop_map(opening),
    ]
}

fn opening((issued_at, announced, address, device_id): (Option<i64>, Option<u64>, String, Option<String>)) -> Work {
    Work::OpenSession(OpenSession {
        issued_at: issued_at.map(Timestamp::from_millis),
        expires_at: issued_at.map(|time| Timestamp::from_millis(time / 2)),
        latest_expiry: issued_at.map(|time| Timestamp::from_millis(time / 3)),
        announced,
        alert_check: device_id.clone(),
        origin: Origin {
            address,
            device_id,
            device_name: None,
            user_agent: None,
        },
    })
}

fn response() -> impl Strategy<Value = AuthorizationResponse> {
    prop_oneof![
        ".*".prop_map(|code| AuthorizationResponse::Code(Secret::new(code))),
        Just(AuthorizationResponse::Denied),
        Just(AuthorizationResponse::Failed),
    ]
}

fn audience() -> impl Strategy<Value = Audience> {
    prop_oneof![
        Just(Audience::User),
        ID.prop_map(|id| Audience::Session(SessionId::new(id).unwrap())),
        ID.prop_map(|id| Audience::Socket(ConnectionId::new(id).unwrap())),
    ]
}

fn origin() -> impl Strategy<Value = Origin> {
    let text = || option::of(".{0,64}");
    (".{0,40}", text(), text(), text()).prop_map(|(address, device_id, device_name, user_agent)| Origin {
        address,
        device_id,
        device_name,
        user_agent,
    })
}
