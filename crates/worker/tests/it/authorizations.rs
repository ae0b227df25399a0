//! Authorizations that were begun before the second factor was turned on: none is finished after.

use protocol::cluster::callback::{AuthorizationResponse, Callback};
use protocol::command::CommandKind;
use serde_json::{Value, json};

use crate::callback::{HOSTED, call_back, come_back, confirm, host, parked, yes};
use crate::client::{BACK, Client, connect, refused, succeeded, with};
use crate::factor::{code, enrol, verify};
use crate::world::{World, with_github};

/// Turns the factor on.
async fn turn_on(world: &World, owner: &mut Client) {
    let enrolment = enrol(world, owner).await;
    let first = code(world, enrolment["secret"].as_str().unwrap());
    succeeded(&verify(owner, &enrolment["sessionId"], &first).await);
}

/// The command of an application to which the browser came back so.
fn connect_of(begun: &Callback) -> Value {
    let AuthorizationResponse::Code(code) = &begun.response else {
        panic!("no code came back");
    };
    with(connect(code.expose()), "state", begun.state.expose())
}

async fn accounts(client: &mut Client) -> Value {
    client.ask(CommandKind::List, json!({})).await["accounts"].clone()
}

#[tokio::test]
async fn a_connect_with_a_state_from_before_ends_in_conflict_and_its_grant_is_given_back() {
    with_github(async |world, github| {
        let _worker = world.worker().await;
        let (mut thief, mut owner) = (world.client("u", "thief").await, world.client("u", "owner").await);
        let begun = come_back(&mut thief, &github, BACK).await;
        turn_on(&world, &mut owner).await;
        let late = connect_of(&begun);
        refused(&thief.ask(CommandKind::Connect, late).await, "conflict");
        assert_eq!(accounts(&mut owner).await, json!([]));
        github.revocations(1).await;
        assert!(github.logins_with_tokens().is_empty());

        // Who gives the factor begins another one, and that is linked.
        let begun = come_back(&mut owner, &github, BACK).await;
        succeeded(&owner.ask(CommandKind::Connect, connect_of(&begun)).await);
    })
    .await;
}

#[tokio::test]
async fn a_callback_from_before_and_a_link_that_was_parked_before_end_in_conflict() {
    with_github(async |mut world, github| {
        host(&mut world);
        let _worker = world.worker().await;
        let (mut thief, mut owner) = (world.client("u", "thief").await, world.client("u", "owner").await);
        let begun = come_back(&mut thief, &github, HOSTED).await;
        let waits = parked(&mut thief, &github).await;
        turn_on(&world, &mut owner).await;
        let late: Value = call_back(&mut thief, &begun).await.data.read().unwrap();
        refused(&late, "conflict");
        refused(&confirm(&mut thief, yes(&waits)).await, "conflict");
        assert_eq!(accounts(&mut owner).await, json!([]));
        github.revocations(2).await;
        assert!(github.logins_with_tokens().is_empty());
    })
    .await;
}
