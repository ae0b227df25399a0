//! Ended session: a worker refuses its jobs, whatever its gateway has cached.

use std::sync::atomic::Ordering;

use protocol::cluster::callback::{AuthorizationResponse, Callback, ConfirmLink};
use protocol::cluster::job::{Joined, OpenSession, Work};
use protocol::command::CommandKind;
use protocol::secret::Secret;
use serde_json::json;
use simulator::{Kind, Route};

use crate::client::{Client, REDIRECT_URI, assert_error, assert_success, connect, with_field};
use crate::env::{TestEnv, with_github};

/// Opens the client's session, as its gateway does.
async fn open(client: &mut Client) {
    let work = Work::OpenSession(OpenSession {
        issued_at: None,
        expires_at: None,
        latest_expiry: None,
        announced: None,
        alert_check: None,
        origin: client.origin.clone(),
    });
    let job = client.work(work);
    assert_success(&client.ask_for(&job).await);
}

/// Opens the sessions of owner and thief, and ends the thief's.
async fn ended(env: &TestEnv) -> (Client, Client) {
    let (mut owner, mut thief) = (env.client("u", "owner").await, env.client("u", "thief").await);
    open(&mut owner).await;
    open(&mut thief).await;
    end(&mut owner).await;
    (owner, thief)
}

async fn end(owner: &mut Client) {
    let answer = owner.ask(CommandKind::EndSessions, json!({"sessionId": "thief"})).await;
    assert_eq!(answer["sessionsEnded"], json!(1), "{answer}");
}

#[tokio::test]
async fn commands_of_ended_session_report_forbidden() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let (mut owner, mut thief) = ended(&env).await;
    assert_success(&owner.connect("code 1").await);
    let github = json!({"accountType": "github"});
    for (kind, data) in [
        (
            CommandKind::Authorize,
            with_field(github.clone(), "redirectUri", REDIRECT_URI),
        ),
        (CommandKind::Connect, connect("code 2")),
        (CommandKind::Disconnect, github.clone()),
        (CommandKind::Sync, github),
        (CommandKind::List, json!({})),
        (
            CommandKind::RequestConfirmation,
            json!({"action": "security:revoke_all"}),
        ),
        (CommandKind::RevokeAll, json!({"confirmationToken": "t"})),
        (CommandKind::Acknowledge, json!({"alertId": "a"})),
        (CommandKind::Alerts, json!({})),
        (
            CommandKind::VerifyTwoFactor,
            json!({"sessionId": "c", "token": "123456"}),
        ),
        (CommandKind::GetSettings, json!({})),
        (CommandKind::UpdateSettings, json!({"settings": {"sessionTimeout": 1}})),
        (CommandKind::Sessions, json!({})),
        (CommandKind::EndSessions, json!({"sessionId": "owner"})),
        (CommandKind::EndSessions, json!({"sessionId": "others"})),
    ] {
        let answer = thief.ask(kind, data).await;
        assert_eq!(answer["error"], json!("forbidden"), "{kind:?}: {answer}");
    }
    let accounts = owner.ask(CommandKind::List, json!({})).await;
    assert_eq!(accounts["accounts"][0]["username"], json!("ada"), "{accounts}");
    let settings = owner.ask(CommandKind::GetSettings, json!({})).await;
    assert_eq!(settings["settings"]["sessionTimeout"], json!(30));
}

#[tokio::test]
async fn callback_and_confirmation_of_ended_session_report_forbidden() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let (_owner, mut thief) = ended(&env).await;
    let account = protocol::account::AccountType::Github;
    let secret = || Secret::new("secret");
    let callback = Callback {
        account,
        state: secret(),
        issuer: None,
        response: AuthorizationResponse::Code(secret()),
    };
    let confirmation = ConfirmLink {
        account,
        token: secret(),
        cookie: secret(),
    };
    for work in [Work::Callback(callback), Work::ConfirmLink(confirmation)] {
        let job = thief.work(work);
        assert_error(&thief.ask_for(&job).await, "forbidden");
    }
}

/// The owner is still alerted to the thief's device.
#[tokio::test]
async fn sign_in_of_ended_session_is_refused_but_raises_its_alert() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let (mut owner, mut thief) = ended(&env).await;
    let joined = owner.work(Work::Joined(Joined {
        unseen: true,
        alerts_sent: false,
    }));
    assert_success(&owner.ask_for(&joined).await);
    thief.origin.device_id = Some("the thief's".to_owned());
    let joined = thief.work(Work::Joined(Joined {
        unseen: true,
        alerts_sent: false,
    }));
    assert_error(&thief.ask_for(&joined).await, "forbidden");
    assert_eq!(owner.alert().await["type"], json!("new_device"));
}

#[tokio::test]
async fn connect_of_session_ended_during_exchange_is_revoked() {
    with_github(async |env, github| {
        let _worker = env.worker().await;
        let (mut owner, mut thief) = (env.client("u", "owner").await, env.client("u", "thief").await);
        open(&mut owner).await;
        open(&mut thief).await;
        github.fault(Route::Token, Kind::AwaitRelease);
        let connecting = thief.job(CommandKind::Connect, connect("test_code_eve"));
        thief.submit(&connecting).await;
        github.wait_for_blocked_request().await;
        end(&mut owner).await;
        github.release();

        assert_error(&thief.answer(&connecting).await, "forbidden");
        assert_eq!(owner.ask(CommandKind::List, json!({})).await["accounts"], json!([]));
        assert_eq!(github.revocations(1).await.len(), 1);
        assert!(github.logins_with_tokens().is_empty());
    })
    .await;
}

/// The first answer may have been lost with the worker that sent it.
#[tokio::test]
async fn redelivered_job_that_ended_its_own_session_is_answered() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    open(&mut client).await;
    let job = client.job(CommandKind::EndSessions, json!({"sessionId": "s"}));
    for _ in 0..2 {
        assert_eq!(client.ask_for(&job).await["sessionsEnded"], json!(1));
    }
    let another = client.job(CommandKind::EndSessions, json!({"sessionId": "s"}));
    assert_error(&client.ask_for(&another).await, "forbidden");
}

/// Events published after the answer must follow the session's end on every gateway.
#[tokio::test]
async fn session_end_is_answered_only_after_it_is_published() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let (mut owner, mut thief) = (env.client("u", "owner").await, env.client("u", "thief").await);
    open(&mut owner).await;
    open(&mut thief).await;
    env.bus.refuses_events.store(true, Ordering::SeqCst);
    let asked = json!({"sessionId": "thief", "idempotencyKey": "k"});
    assert_error(&owner.ask(CommandKind::EndSessions, asked.clone()).await, "unavailable");
    assert_error(&thief.ask(CommandKind::List, json!({})).await, "forbidden");
    env.bus.refuses_events.store(false, Ordering::SeqCst);
    let answer = owner.ask(CommandKind::EndSessions, asked).await;
    assert_eq!(answer["sessionsEnded"], json!(1), "{answer}");
    assert_eq!(owner.event().await.0, "security:session_expired");
}
