//! The second factor: enrolment, codes, challenges, and what needs one.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bus::{SessionKey, SessionSeed};
use lifecycle::{Clock, OsEntropy};
use protocol::cluster::job::JobOutcome;
use protocol::command::CommandKind;
use protocol::id::SessionId;
use protocol::time::Timestamp;
use serde_json::{Value, json};
use worker::{OperatorOutcome, Running, reset_factor, unlock_factor};

use crate::client::{Client, refused, succeeded};
use crate::world::World;

/// A world with a worker and a client whose user has a second factor.
pub(crate) struct Guarded {
    pub(crate) world: World,
    pub(crate) client: Client,
    secret: String,
    pub(crate) recovery_codes: Vec<String>,
    _worker: Running,
}

impl Guarded {
    /// Every attempt is let through.
    pub(crate) async fn unlimited() -> Self {
        let guarded = Self::new().await;
        guarded.world.bus.counts_no_attempts.store(true, Ordering::SeqCst);
        guarded
    }

    pub(crate) async fn new() -> Self {
        let world = World::scripted();
        let worker = world.worker().await;
        let mut client = world.client("u", "s").await;
        let enrolment = enrol(&world, &mut client).await;
        let secret = enrolment["secret"].as_str().unwrap().to_owned();
        let verified = verify(&mut client, &enrolment["sessionId"], &code(&world, &secret)).await;
        succeeded(&verified);
        let codes = verified["recoveryCodes"].as_array().unwrap().iter();
        let recovery_codes = codes.map(|code| code.as_str().unwrap().to_owned()).collect();
        assert_eq!(client.event().await.0, "security:settings_updated");
        assert_eq!(client.event().await.1["type"], "settings_changed");
        let mut guarded = Self {
            world,
            client,
            secret,
            recovery_codes,
            _worker: worker,
        };
        guarded.next_step();
        guarded
    }

    pub(crate) fn next_step(&mut self) {
        self.world.clock.advance(Duration::from_secs(30));
    }

    pub(crate) fn code(&self) -> String {
        code(&self.world, &self.secret)
    }

    /// A challenge on a device that has not given the factor.
    pub(crate) async fn challenged(&self, session: &str) -> (Client, Value) {
        let mut client = self.world.client("u", session).await;
        let required = disconnect(&mut client).await;
        let challenge = required.leading_notice.unwrap().data.read::<Value>().unwrap()["sessionId"].clone();
        (client, challenge)
    }
}

/// The code of the authenticator, by the clock of the world.
pub(crate) fn code(world: &World, secret: &str) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    let now = world.clock.now().duration_since(std::time::UNIX_EPOCH).unwrap();
    totp.generate(now.as_secs()).to_string()
}

pub(crate) async fn update(client: &mut Client, settings: Value) -> Value {
    client
        .ask(CommandKind::UpdateSettings, json!({"settings": settings}))
        .await
}

/// Begins to turn the factor on, right after a sign-in.
pub(crate) async fn enrol(world: &World, client: &mut Client) -> Value {
    client.signed_in = Some(world.clock.now().into());
    let answer = update(client, json!({"twoFactorEnabled": true})).await;
    client.signed_in = None;
    succeeded(&answer);
    answer["enrolment"].clone()
}

pub(crate) async fn verify(client: &mut Client, challenge: &Value, token: &str) -> Value {
    let data = json!({"sessionId": challenge, "token": token});
    client.ask(CommandKind::VerifyTwoFactor, data).await
}

/// A command that needs a second factor where one is on.
pub(crate) async fn disconnect(client: &mut Client) -> JobOutcome {
    let job = client.job(CommandKind::Disconnect, json!({"accountType": "github"}));
    client.submit(&job).await;
    client.outcome(&job).await
}

#[tokio::test]
async fn turning_it_on_takes_a_fresh_sign_in() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    refused(
        &update(&mut client, json!({"twoFactorEnabled": true})).await,
        "reauth_required",
    );
    client.signed_in = Some(world.clock.now().into());
    world.clock.advance(Duration::from_secs(5 * 60));
    refused(
        &update(&mut client, json!({"twoFactorEnabled": true})).await,
        "reauth_required",
    );
}

#[tokio::test]
async fn it_takes_effect_with_the_first_right_code_from_the_session_that_asked() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let (mut client, mut other) = (world.client("u", "s").await, world.client("u", "t").await);
    let enrolment = enrol(&world, &mut client).await;
    assert_eq!(
        (&enrolment["method"], &enrolment["expiresIn"]),
        (&json!("totp"), &json!(600))
    );
    assert!(
        enrolment["otpauthUrl"]
            .as_str()
            .unwrap()
            .starts_with("otpauth://totp/Postern:u?")
    );
    let secret = enrolment["secret"].as_str().unwrap();
    let challenge = &enrolment["sessionId"];

    refused(&verify(&mut client, challenge, "000000").await, "2fa_invalid");
    assert_eq!(client.event().await.1["type"], "failed_2fa");
    refused(
        &verify(&mut other, challenge, &code(&world, secret)).await,
        "challenge_expired",
    );
    let enabled = async |client: &mut Client| {
        client.ask(CommandKind::GetSettings, json!({})).await["settings"]["twoFactorEnabled"].clone()
    };
    assert_eq!(enabled(&mut client).await, false);

    let verified = verify(&mut client, challenge, &code(&world, secret)).await;
    succeeded(&verified);
    assert_eq!(verified["recoveryCodes"].as_array().unwrap().len(), 10);
    assert_eq!(enabled(&mut client).await, true);
    // Whoever gave the first code has given one.
    assert!(disconnect(&mut client).await.leading_notice.is_none());
}

#[tokio::test]
async fn answers_that_hold_secrets_say_so_and_others_do_not() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    client.signed_in = Some(world.clock.now().into());
    let mut is_secret = async |kind, data| {
        let job = client.job(kind, data);
        client.submit(&job).await;
        let outcome = client.outcome(&job).await;
        assert_eq!(outcome.error, None, "{outcome:?}");
        (outcome.secret, outcome.data.read::<Value>().unwrap())
    };
    for (kind, data, secret) in [
        (
            CommandKind::Authorize,
            json!({"accountType": "github", "redirectUri": "http://localhost/cb"}),
            true,
        ),
        (
            CommandKind::RequestConfirmation,
            json!({"action": "security:revoke_all"}),
            true,
        ),
        (
            CommandKind::UpdateSettings,
            json!({"settings": {"sessionTimeout": 5}}),
            false,
        ),
        (CommandKind::GetSettings, json!({}), false),
        (CommandKind::Alerts, json!({}), false),
    ] {
        assert_eq!(is_secret(kind, data).await.0, secret, "{kind:?}");
    }
    let enrol = json!({"settings": {"twoFactorEnabled": true}});
    let (secret, answer) = is_secret(CommandKind::UpdateSettings, enrol).await;
    assert!(secret, "{answer}");
    let enrolment = &answer["enrolment"];
    let first = code(&world, enrolment["secret"].as_str().unwrap());
    let first = json!({"sessionId": enrolment["sessionId"], "token": first});
    let (secret, answer) = is_secret(CommandKind::VerifyTwoFactor, first).await;
    assert!(secret && answer["recoveryCodes"].is_array(), "{answer}");
}

#[tokio::test]
async fn an_enrolment_is_over_after_ten_minutes() {
    let world = World::scripted();
    let _worker = world.worker().await;
    let mut client = world.client("u", "s").await;
    let enrolment = enrol(&world, &mut client).await;
    world.clock.advance(Duration::from_secs(600));
    let code = code(&world, enrolment["secret"].as_str().unwrap());
    refused(
        &verify(&mut client, &enrolment["sessionId"], &code).await,
        "challenge_expired",
    );
}

#[tokio::test]
async fn what_is_sensitive_waits_for_a_code_on_its_own_socket() {
    let guarded = Guarded::new().await;
    let mut device = guarded.world.client("u", "t").await;
    for (kind, data) in [
        (
            CommandKind::Authorize,
            json!({"accountType": "github", "redirectUri": "http://localhost/cb"}),
        ),
        (CommandKind::Connect, crate::client::connect("ok")),
        (CommandKind::Disconnect, json!({"accountType": "github"})),
        (
            CommandKind::UpdateSettings,
            json!({"settings": {"twoFactorEnabled": false}}),
        ),
        (CommandKind::RequestConfirmation, json!({"action": "revoke_all"})),
        (CommandKind::EndSessions, json!({"sessionId": "others"})),
    ] {
        let job = device.job(kind, data);
        device.submit(&job).await;
        let outcome = device.outcome(&job).await;
        refused(&outcome.data.read().unwrap(), "2fa_required");
        let leading_notice = outcome.leading_notice.unwrap();
        let told: Value = leading_notice.data.read().unwrap();
        assert_eq!(leading_notice.event, "security:2fa_required");
        assert_eq!(
            (&told["expiresIn"], &told["method"]),
            (&json!(300), &json!("totp")),
            "{told}"
        );
    }
    succeeded(&device.ask(CommandKind::List, json!({})).await);

    let (mut device, challenge) = guarded.challenged("t").await;
    succeeded(&verify(&mut device, &challenge, &guarded.code()).await);
    refused(&disconnect(&mut device).await.data.read().unwrap(), "not_connected");
    let mut third = guarded.world.client("u", "third").await;
    refused(&disconnect(&mut third).await.data.read().unwrap(), "2fa_required");
}

#[tokio::test]
async fn a_code_is_taken_once_whatever_the_challenge() {
    let guarded = Guarded::new().await;
    let (mut one, challenge) = guarded.challenged("one").await;
    let (mut two, other_challenge) = guarded.challenged("two").await;
    let code = guarded.code();
    succeeded(&verify(&mut one, &challenge, &code).await);
    refused(&verify(&mut two, &other_challenge, &code).await, "2fa_invalid");
}

#[tokio::test]
async fn a_challenge_is_its_sessions_own_and_used_once() {
    let mut guarded = Guarded::new().await;
    let (mut one, challenge) = guarded.challenged("one").await;
    let mut two = guarded.world.client("u", "two").await;
    let mut stranger = guarded.world.client("v", "one").await;
    for foreign in [&mut two, &mut stranger] {
        refused(&verify(foreign, &challenge, &guarded.code()).await, "challenge_expired");
    }
    refused(
        &verify(&mut one, &json!("unheard of"), &guarded.code()).await,
        "challenge_expired",
    );
    succeeded(&verify(&mut one, &challenge, &guarded.code()).await);
    guarded.next_step();
    refused(
        &verify(&mut one, &challenge, &guarded.code()).await,
        "challenge_expired",
    );
}

#[tokio::test]
async fn a_recovery_code_is_its_users_own_and_its_factors_own() {
    let mut guarded = Guarded::unlimited().await;
    let mut neighbour = guarded.world.client("v", "s").await;
    let enrolment = enrol(&guarded.world, &mut neighbour).await;
    let first = code(&guarded.world, enrolment["secret"].as_str().unwrap());
    let verified = verify(&mut neighbour, &enrolment["sessionId"], &first).await;
    let foreign = verified["recoveryCodes"][0].as_str().unwrap();

    let own = guarded.recovery_codes[0].clone();
    let other_letter = if own.starts_with('A') { "B" } else { "A" };
    let rest: String = own.chars().skip(1).collect();
    let altered = format!("{other_letter}{rest}");
    let (mut device, challenge) = guarded.challenged("t").await;
    for wrong in [foreign, &altered] {
        refused(&verify(&mut device, &challenge, wrong).await, "2fa_invalid");
    }

    // The factor is another one now, though it is the same user's again.
    let off = json!({"settings": {"twoFactorEnabled": false}});
    succeeded(&guarded.client.ask(CommandKind::UpdateSettings, off).await);
    let enrolment = enrol(&guarded.world, &mut guarded.client).await;
    let first = code(&guarded.world, enrolment["secret"].as_str().unwrap());
    succeeded(&verify(&mut guarded.client, &enrolment["sessionId"], &first).await);
    let (mut device, challenge) = guarded.challenged("after").await;
    refused(&verify(&mut device, &challenge, &own).await, "2fa_invalid");
}

#[tokio::test]
async fn ten_wrong_codes_cost_time_and_a_recovery_code_ends_that() {
    let guarded = Guarded::unlimited().await;
    let (mut device, challenge) = guarded.challenged("t").await;
    for _ in 0..10 {
        refused(&verify(&mut device, &challenge, "000000").await, "2fa_invalid");
    }
    let delayed = verify(&mut device, &challenge, &guarded.code()).await;
    refused(&delayed, "rate_limited");
    assert_eq!(delayed["retryAfter"], 30);

    let recovery = guarded.recovery_codes.first().unwrap();
    succeeded(&verify(&mut device, &challenge, &recovery.to_ascii_lowercase()).await);
    let (mut device, challenge) = guarded.challenged("again").await;
    refused(&verify(&mut device, &challenge, recovery).await, "2fa_invalid");
    succeeded(&verify(&mut device, &challenge, &guarded.code()).await);
}

#[tokio::test]
async fn the_hundredth_wrong_code_locks_until_an_operator_unlocks() {
    let mut guarded = Guarded::unlimited().await;
    let (mut device, challenge) = guarded.challenged("t").await;
    for _ in 0..100 {
        refused(&verify(&mut device, &challenge, "000000").await, "2fa_invalid");
        guarded.world.clock.advance(Duration::from_secs(60 * 60));
    }
    refused(&verify(&mut device, &challenge, &guarded.code()).await, "2fa_locked");
    let user = &guarded.client.user;
    assert_eq!(
        unlock_factor(&*guarded.world.store, user, &OsEntropy).await.unwrap(),
        OperatorOutcome::Done
    );
    guarded.next_step();
    succeeded(&verify(&mut device, &challenge, &guarded.code()).await);
}

#[tokio::test]
async fn an_operator_can_remove_it() {
    let guarded = Guarded::new().await;
    let (store, user) = (&*guarded.world.store, &guarded.client.user);
    assert_eq!(
        reset_factor(store, user, &OsEntropy).await.unwrap(),
        OperatorOutcome::Done
    );
    let mut device = guarded.world.client("u", "t").await;
    refused(&disconnect(&mut device).await.data.read().unwrap(), "not_connected");
    assert_eq!(
        reset_factor(store, user, &OsEntropy).await.unwrap(),
        OperatorOutcome::NoFactor
    );
    assert_eq!(
        unlock_factor(store, user, &OsEntropy).await.unwrap(),
        OperatorOutcome::NoFactor
    );
}

#[tokio::test]
async fn a_verification_is_repeated_by_its_idempotency_key_and_opens_no_other_socket() {
    let guarded = Guarded::new().await;
    let (mut device, challenge) = guarded.challenged("t").await;
    let data = json!({"sessionId": challenge, "token": guarded.code(), "idempotencyKey": "k"});
    let first = device.ask(CommandKind::VerifyTwoFactor, data.clone()).await;
    succeeded(&first);
    assert_eq!(device.ask(CommandKind::VerifyTwoFactor, data).await, first);
}

#[tokio::test]
async fn a_right_code_is_answered_with_the_real_end_of_the_session() {
    let guarded = Guarded::new().await;
    let (mut client, challenge) = guarded.challenged("s-2").await;
    let seed = SessionSeed {
        left: Duration::from_mins(90),
        timeout: Duration::from_mins(90),
        lead: Duration::from_mins(5),
        opened_at: Timestamp::from_millis(1_000),
        newest_token: None,
        announced: None,
    };
    let session = SessionKey {
        user: client.user.clone(),
        session: SessionId::new("s-2").unwrap(),
    };
    bus::SessionRegistry::seed(&*guarded.world.bus, &session, seed)
        .await
        .unwrap();
    let verified = verify(&mut client, &challenge, &guarded.code()).await;
    assert_eq!(verified["sessionExtended"], true, "{verified}");
    let ends: Timestamp = serde_json::from_value(verified["expiresAt"].clone()).unwrap();
    let left = ends.since(guarded.world.clock.now().into());
    assert!(
        left <= Duration::from_mins(90) && left > Duration::from_mins(89),
        "{left:?}"
    );
}
