//! A session that has ended: a worker does nothing for it, whatever its gateway thinks.

use std::sync::atomic::Ordering;

use protocol::cluster::callback::{AuthorizationResponse, Callback, ConfirmLink};
use protocol::cluster::job::{Joined, OpenSession, Work};
use protocol::command::CommandKind;
use protocol::secret::Secret;
use serde_json::json;
use simulator::{Kind, Route};

use crate::client::{BACK, Client, connect, refused, succeeded, with};
use crate::world::{World, with_github};

/// Opens the client's session, as its gateway does.
async fn open(client: &mut Client) {
    let work = Work::OpenSession(OpenSession {
        issued_at: None,
        announced: None,
        origin: client.origin.clone(),
    });
    let job = client.work(work);
    succeeded(&client.ask_for(&job).await);
}

/// Opens the sessions of owner and thief, and has the owner end the thief's.
async fn ended(world: &World) -> (Client, Client) {
    let (mut owner, mut thief) = (world.client("u", "owner").await, world.client("u", "thief").await);
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
async fn every_command_of_an_ended_session_is_refused() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let (mut owner, mut thief) = ended(&world).await;
    succeeded(&owner.connect("code 1").await);
    let github = json!({"accountType": "github"});
    for (kind, data) in [
        (CommandKind::Authorize, with(github.clone(), "redirectUri", BACK)),
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
async fn a_browser_that_comes_back_for_an_ended_session_is_refused() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let (_owner, mut thief) = ended(&world).await;
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
        refused(&thief.ask_for(&job).await, "forbidden");
    }
}

/// The owner is to hear of the thief's device all the same.
#[tokio::test]
async fn who_joined_and_was_ended_is_noted_and_told_nothing() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let (mut owner, mut thief) = ended(&world).await;
    let joined = owner.work(Work::Joined(Joined {
        unseen: true,
        alerts_sent: false,
    }));
    succeeded(&owner.ask_for(&joined).await);
    thief.origin.device_id = Some("the thief's".to_owned());
    let joined = thief.work(Work::Joined(Joined {
        unseen: true,
        alerts_sent: false,
    }));
    refused(&thief.ask_for(&joined).await, "forbidden");
    assert_eq!(owner.alert().await["type"], json!("new_device"));
}

#[tokio::test]
async fn a_connect_whose_session_ends_while_the_platform_holds_it_is_given_back() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let (mut owner, mut thief) = (world.client("u", "owner").await, world.client("u", "thief").await);
        open(&mut owner).await;
        open(&mut thief).await;
        github.fault(Route::Token, Kind::AwaitRelease);
        let connecting = thief.job(CommandKind::Connect, connect("test_code_eve"));
        thief.submit(&connecting).await;
        github.blocked().await;
        end(&mut owner).await;
        github.release();

        refused(&thief.answer(&connecting).await, "forbidden");
        assert_eq!(owner.ask(CommandKind::List, json!({})).await["accounts"], json!([]));
        assert_eq!(github.revocations(1).await.len(), 1);
        assert!(github.logins_with_tokens().is_empty());
    })
    .await;
}

/// The first answer may have been lost with the worker that gave it.
#[tokio::test]
async fn a_session_that_ended_itself_is_answered_when_the_job_comes_again() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    open(&mut client).await;
    let job = client.job(CommandKind::EndSessions, json!({"sessionId": "s"}));
    for _ in 0..2 {
        assert_eq!(client.ask_for(&job).await["sessionsEnded"], json!(1));
    }
    let another = client.job(CommandKind::EndSessions, json!({"sessionId": "s"}));
    refused(&client.ask_for(&another).await, "forbidden");
}

/// What is published after the answer shall come after the end, on every gateway.
#[tokio::test]
async fn the_end_of_a_session_is_answered_when_it_is_published() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let (mut owner, mut thief) = (world.client("u", "owner").await, world.client("u", "thief").await);
    open(&mut owner).await;
    open(&mut thief).await;
    world.bus.refuses_events.store(true, Ordering::SeqCst);
    let asked = json!({"sessionId": "thief", "idempotencyKey": "k"});
    refused(&owner.ask(CommandKind::EndSessions, asked.clone()).await, "unavailable");
    refused(&thief.ask(CommandKind::List, json!({})).await, "forbidden");
    world.bus.refuses_events.store(false, Ordering::SeqCst);
    let answer = owner.ask(CommandKind::EndSessions, asked).await;
    assert_eq!(answer["sessionsEnded"], json!(1), "{answer}");
    assert_eq!(owner.event().await.0, "security:session_expired");
}
