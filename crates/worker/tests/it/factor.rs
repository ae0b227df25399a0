//! Second factor: enrolment, codes, challenges, and the commands that require it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bus::{SessionKey, SessionSeed, TokenTimes};
use lifecycle::{Clock, OsEntropy};
use protocol::cluster::job::JobOutcome;
use protocol::command::CommandKind;
use protocol::id::SessionId;
use protocol::time::Timestamp;
use serde_json::{Value, json};
use store::Operator;
use worker::{OperatorOutcome, Running, reset_factor, unlock_factor};

use crate::client::{Client, assert_error, assert_success};
use crate::env::TestEnv;

/// User with a second factor, with environment, worker and client.
pub(crate) struct FactorUser {
    pub(crate) env: TestEnv,
    pub(crate) client: Client,
    secret: String,
    pub(crate) recovery_codes: Vec<String>,
    _worker: Running,
}

impl FactorUser {
    /// User with a second factor whose attempts are not limited.
    pub(crate) async fn unlimited() -> Self {
        let guarded = Self::new().await;
        guarded.env.bus.admits_all_attempts.store(true, Ordering::SeqCst);
        guarded
    }

    pub(crate) async fn new() -> Self {
        let env = TestEnv::scripted();
        let worker = env.worker().await;
        let mut client = env.client("u", "s").await;
        let enrolment = enrol(&env, &mut client).await;
        let secret = enrolment["secret"].as_str().unwrap().to_owned();
        let verified = verify(&mut client, &enrolment["sessionId"], &code(&env, &secret)).await;
        assert_success(&verified);
        let codes = verified["recoveryCodes"].as_array().unwrap().iter();
        let recovery_codes = codes.map(|code| code.as_str().unwrap().to_owned()).collect();
        assert_eq!(client.event().await.0, "security:settings_updated");
        assert_eq!(client.event().await.1["type"], "settings_changed");
        let mut guarded = Self {
            env,
            client,
            secret,
            recovery_codes,
            _worker: worker,
        };
        guarded.next_step();
        guarded
    }

    pub(crate) fn next_step(&mut self) {
        self.env.clock.advance(Duration::from_secs(30));
    }

    pub(crate) fn code(&self) -> String {
        code(&self.env, &self.secret)
    }

    /// Opens a challenge on a device that has not given the factor.
    pub(crate) async fn challenged(&self, session: &str) -> (Client, Value) {
        let mut client = self.env.client("u", session).await;
        let required = disconnect(&mut client).await;
        let challenge = required.leading_notice.unwrap().data.read::<Value>().unwrap()["sessionId"].clone();
        (client, challenge)
    }
}

/// TOTP code at the time of the environment's clock.
pub(crate) fn code(env: &TestEnv, secret: &str) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    let now = env.clock.now().duration_since(std::time::UNIX_EPOCH).unwrap();
    totp.generate(now.as_secs()).to_string()
}

pub(crate) async fn update(client: &mut Client, settings: Value) -> Value {
    client
        .ask(CommandKind::UpdateSettings, json!({"settings": settings}))
        .await
}

/// Starts an enrolment, right after a sign-in.
pub(crate) async fn enrol(env: &TestEnv, client: &mut Client) -> Value {
    client.signed_in = Some(env.clock.now().into());
    let answer = update(client, json!({"twoFactorEnabled": true})).await;
    client.signed_in = None;
    assert_success(&answer);
    answer["enrolment"].clone()
}

pub(crate) async fn verify(client: &mut Client, challenge: &Value, token: &str) -> Value {
    let data = json!({"sessionId": challenge, "token": token});
    client.ask(CommandKind::VerifyTwoFactor, data).await
}

/// Sends a command that requires a second factor where one is on.
pub(crate) async fn disconnect(client: &mut Client) -> JobOutcome {
    let job = client.job(CommandKind::Disconnect, json!({"accountType": "github"}));
    client.submit(&job).await;
    client.outcome(&job).await
}

#[tokio::test]
async fn enrolment_without_recent_sign_in_requires_reauth() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    assert_error(
        &update(&mut client, json!({"twoFactorEnabled": true})).await,
        "reauth_required",
    );
    client.signed_in = Some(env.clock.now().into());
    env.clock.advance(Duration::from_secs(5 * 60));
    assert_error(
        &update(&mut client, json!({"twoFactorEnabled": true})).await,
        "reauth_required",
    );
}

#[tokio::test]
async fn factor_is_enabled_by_right_code_of_its_own_session() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let (mut client, mut other) = (env.client("u", "s").await, env.client("u", "t").await);
    let enrolment = enrol(&env, &mut client).await;
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

    assert_error(&verify(&mut client, challenge, "000000").await, "2fa_invalid");
    assert_eq!(client.event().await.1["type"], "failed_2fa");
    assert_error(
        &verify(&mut other, challenge, &code(&env, secret)).await,
        "challenge_expired",
    );
    let enabled = async |client: &mut Client| {
        client.ask(CommandKind::GetSettings, json!({})).await["settings"]["twoFactorEnabled"].clone()
    };
    assert_eq!(enabled(&mut client).await, false);

    let verified = verify(&mut client, challenge, &code(&env, secret)).await;
    assert_success(&verified);
    assert_eq!(verified["recoveryCodes"].as_array().unwrap().len(), 10);
    assert_eq!(enabled(&mut client).await, true);
    // The first code counts as a verification of this socket.
    assert!(disconnect(&mut client).await.leading_notice.is_none());
}

#[tokio::test]
async fn answers_with_secrets_are_marked_secret() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    client.signed_in = Some(env.clock.now().into());
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
    let first = code(&env, enrolment["secret"].as_str().unwrap());
    let first = json!({"sessionId": enrolment["sessionId"], "token": first});
    let (secret, answer) = is_secret(CommandKind::VerifyTwoFactor, first).await;
    assert!(secret && answer["recoveryCodes"].is_array(), "{answer}");
}

#[tokio::test]
async fn enrolment_expires_after_ten_minutes() {
    let env = TestEnv::scripted();
    let _worker = env.worker().await;
    let mut client = env.client("u", "s").await;
    let enrolment = enrol(&env, &mut client).await;
    env.clock.advance(Duration::from_secs(600));
    let code = code(&env, enrolment["secret"].as_str().unwrap());
    assert_error(
        &verify(&mut client, &enrolment["sessionId"], &code).await,
        "challenge_expired",
    );
}

#[tokio::test]
async fn sensitive_command_requires_code_on_its_own_socket() {
    let guarded = FactorUser::new().await;
    let mut device = guarded.env.client("u", "t").await;
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
        assert_error(&outcome.data.read().unwrap(), "2fa_required");
        let leading_notice = outcome.leading_notice.unwrap();
        let notice: Value = leading_notice.data.read().unwrap();
        assert_eq!(leading_notice.event, "security:2fa_required");
        assert_eq!(
            (&notice["expiresIn"], &notice["method"]),
            (&json!(300), &json!("totp")),
            "{notice}"
        );
    }
    assert_success(&device.ask(CommandKind::List, json!({})).await);

    let (mut device, challenge) = guarded.challenged("t").await;
    assert_success(&verify(&mut device, &challenge, &guarded.code()).await);
    assert_error(&disconnect(&mut device).await.data.read().unwrap(), "not_connected");
    let mut third = guarded.env.client("u", "third").await;
    assert_error(&disconnect(&mut third).await.data.read().unwrap(), "2fa_required");
}

#[tokio::test]
async fn used_totp_code_is_refused_for_another_challenge() {
    let guarded = FactorUser::new().await;
    let (mut one, challenge) = guarded.challenged("one").await;
    let (mut two, other_challenge) = guarded.challenged("two").await;
    let code = guarded.code();
    assert_success(&verify(&mut one, &challenge, &code).await);
    assert_error(&verify(&mut two, &other_challenge, &code).await, "2fa_invalid");
}

#[tokio::test]
async fn totp_challenge_is_accepted_once_in_its_own_session() {
    let mut guarded = FactorUser::new().await;
    let (mut one, challenge) = guarded.challenged("one").await;
    let mut two = guarded.env.client("u", "two").await;
    let mut stranger = guarded.env.client("v", "one").await;
    for foreign in [&mut two, &mut stranger] {
        assert_error(&verify(foreign, &challenge, &guarded.code()).await, "challenge_expired");
    }
    assert_error(
        &verify(&mut one, &json!("unheard of"), &guarded.code()).await,
        "challenge_expired",
    );
    assert_success(&verify(&mut one, &challenge, &guarded.code()).await);
    guarded.next_step();
    assert_error(
        &verify(&mut one, &challenge, &guarded.code()).await,
        "challenge_expired",
    );
}

#[tokio::test]
async fn recovery_code_of_another_user_or_factor_is_refused() {
    let mut guarded = FactorUser::unlimited().await;
    let mut neighbour = guarded.env.client("v", "s").await;
    let enrolment = enrol(&guarded.env, &mut neighbour).await;
    let first = code(&guarded.env, enrolment["secret"].as_str().unwrap());
    let verified = verify(&mut neighbour, &enrolment["sessionId"], &first).await;
    let foreign = verified["recoveryCodes"][0].as_str().unwrap();

    let own = guarded.recovery_codes[0].clone();
    let other_character = if own.starts_with('A') { "B" } else { "A" };
    let rest: String = own.chars().skip(1).collect();
    let altered = format!("{other_character}{rest}");
    let (mut device, challenge) = guarded.challenged("t").await;
    for wrong in [foreign, &altered] {
        assert_error(&verify(&mut device, &challenge, wrong).await, "2fa_invalid");
    }

    // The user's new factor does not accept recovery codes of the old one.
    let off = json!({"settings": {"twoFactorEnabled": false}});
    assert_success(&guarded.client.ask(CommandKind::UpdateSettings, off).await);
    let enrolment = enrol(&guarded.env, &mut guarded.client).await;
    let first = code(&guarded.env, enrolment["secret"].as_str().unwrap());
    assert_success(&verify(&mut guarded.client, &enrolment["sessionId"], &first).await);
    let (mut device, challenge) = guarded.challenged("after").await;
    assert_error(&verify(&mut device, &challenge, &own).await, "2fa_invalid");
}

#[tokio::test]
async fn ten_wrong_codes_delay_until_a_recovery_code() {
    let guarded = FactorUser::unlimited().await;
    let (mut device, challenge) = guarded.challenged("t").await;
    for _ in 0..10 {
        assert_error(&verify(&mut device, &challenge, "000000").await, "2fa_invalid");
    }
    let delayed = verify(&mut device, &challenge, &guarded.code()).await;
    assert_error(&delayed, "rate_limited");
    assert_eq!(delayed["retryAfter"], 30);

    let recovery = guarded.recovery_codes.first().unwrap();
    assert_success(&verify(&mut device, &challenge, &recovery.to_ascii_lowercase()).await);
    let (mut device, challenge) = guarded.challenged("again").await;
    assert_error(&verify(&mut device, &challenge, recovery).await, "2fa_invalid");
    assert_success(&verify(&mut device, &challenge, &guarded.code()).await);
}

#[tokio::test]
async fn hundredth_wrong_code_locks_until_operator_unlocks() {
    let mut guarded = FactorUser::unlimited().await;
    let (mut device, challenge) = guarded.challenged("t").await;
    for _ in 0..100 {
        assert_error(&verify(&mut device, &challenge, "000000").await, "2fa_invalid");
        guarded.env.clock.advance(Duration::from_secs(60 * 60));
    }
    assert_error(&verify(&mut device, &challenge, &guarded.code()).await, "2fa_locked");
    let user = &guarded.client.user;
    assert_eq!(
        unlock_factor(&*guarded.env.store, user, &operator(), &OsEntropy)
            .await
            .unwrap(),
        OperatorOutcome::Done
    );
    guarded.next_step();
    assert_success(&verify(&mut device, &challenge, &guarded.code()).await);
}

#[tokio::test]
async fn operator_reset_removes_the_factor() {
    let guarded = FactorUser::new().await;
    let (store, user) = (&*guarded.env.store, &guarded.client.user);
    assert_eq!(
        reset_factor(store, user, &operator(), &OsEntropy).await.unwrap(),
        OperatorOutcome::Done
    );
    let mut device = guarded.env.client("u", "t").await;
    assert_error(&disconnect(&mut device).await.data.read().unwrap(), "not_connected");
    assert_eq!(
        reset_factor(store, user, &operator(), &OsEntropy).await.unwrap(),
        OperatorOutcome::NoFactor
    );
    assert_eq!(
        unlock_factor(store, user, &operator(), &OsEntropy).await.unwrap(),
        OperatorOutcome::NoFactor
    );
}

#[tokio::test]
async fn repeated_verification_returns_first_answer() {
    let guarded = FactorUser::new().await;
    let (mut device, challenge) = guarded.challenged("t").await;
    let data = json!({"sessionId": challenge, "token": guarded.code(), "idempotencyKey": "k"});
    let first = device.ask(CommandKind::VerifyTwoFactor, data.clone()).await;
    assert_success(&first);
    assert_eq!(device.ask(CommandKind::VerifyTwoFactor, data).await, first);
}

#[tokio::test]
async fn verification_reports_expiry_of_the_session() {
    let guarded = FactorUser::new().await;
    let (mut client, challenge) = guarded.challenged("s-2").await;
    open_session(&guarded, &client).await;
    let verified = verify(&mut client, &challenge, &guarded.code()).await;
    assert_eq!(verified["sessionExtended"], true, "{verified}");
    let left = time(&verified["expiresAt"]).since(guarded.env.clock.now().into());
    assert!(
        left <= Duration::from_mins(90) && left > Duration::from_mins(89),
        "{left:?}"
    );
    assert_eq!(verified["sessionExpiresAt"], verified["expiresAt"]);
    // As for a gateway of the previous release, which does not state the end of the token.
    assert!(
        verified["tokenExpiresAt"].is_null() && verified["reason"].is_null(),
        "{verified}"
    );
}

#[tokio::test]
async fn verification_reports_the_token_s_end_if_that_is_earlier() {
    let guarded = FactorUser::new().await;
    let (mut client, challenge) = guarded.challenged("s-2").await;
    let token_ends = Timestamp::from(guarded.env.clock.now()).plus(Duration::from_mins(15));
    client.token_expires_at = Some(token_ends);
    open_session(&guarded, &client).await;
    let verified = verify(&mut client, &challenge, &guarded.code()).await;
    assert_eq!(verified["sessionExtended"], true, "{verified}");
    assert_eq!(verified["reason"], "token_expires_first", "{verified}");
    for field in ["expiresAt", "tokenExpiresAt"] {
        assert_eq!(time(&verified[field]), token_ends, "{field}: {verified}");
    }
    let left = time(&verified["sessionExpiresAt"]).since(time(&verified["serverTime"]));
    assert!(left > Duration::from_mins(89), "{verified}");
}

/// Opens session `s-2` in Redis, for 90 minutes.
async fn open_session(guarded: &FactorUser, client: &Client) {
    let session = SessionKey {
        user: client.user.clone(),
        session: SessionId::new("s-2").unwrap(),
    };
    let seed = SessionSeed {
        left: Duration::from_mins(90),
        timeout: Duration::from_mins(90),
        lead: Duration::from_mins(5),
        opened_at: Timestamp::from_millis(1_000),
        tokens: TokenTimes::UNKNOWN,
        announced: None,
    };
    bus::SessionRegistry::seed(&*guarded.env.bus, &session, seed)
        .await
        .unwrap();
}

fn time(value: &Value) -> Timestamp {
    serde_json::from_value(value.clone()).unwrap()
}

fn operator() -> Operator {
    "alice".parse().unwrap()
}
