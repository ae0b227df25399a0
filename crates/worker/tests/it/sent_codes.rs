//! Second factors with sent codes: email over SMTP and SMS over HTTP, both over real sockets.

use std::sync::Arc;
use std::time::Duration;

use lifecycle::{Dependencies, ManualClock, OsEntropy};
use protocol::secret::Secret;
use serde_json::{Value, json};
use testkit::mail::{MailSecurity, MailServer};
use testkit::sms::SmsServer;
use testkit::wait;
use tokio::time::Instant;
use worker::{EmailSender, EmailSettings, FromAddress, MessageSenders, Running, SmsSender, SmsSettings, SmtpServer};

use crate::api_requests::application;
use crate::client::{Client, assert_error, assert_success};
use crate::env::TestEnv;
use crate::factor::{code, disconnect, update, verify};
use crate::factor_locks::{assert_locked, lock, unlock};
use crate::log::Log;

const EMAIL: &str = "user@example.com";
const NUMBER: &str = "+436601234567";

/// Worker with both senders, and a client that has just signed in.
struct SenderTest {
    env: TestEnv,
    mail: MailServer,
    sms: SmsServer,
    client: Client,
    dependencies: Dependencies,
    _worker: Running,
}

impl SenderTest {
    async fn new() -> Self {
        let (mail, sms) = (MailServer::start(MailSecurity::Plain).await, SmsServer::start().await);
        let mut env = TestEnv::scripted();
        let settings = EmailSettings {
            server: SmtpServer::parse(&Secret::new(mail.url(""))).unwrap(),
            from: FromAddress::parse("Postern <postern@example.org>").unwrap(),
        };
        let clock = Arc::<ManualClock>::clone(&env.clock);
        let api = SmsSettings::new(
            &sms.url(),
            "AC1".to_owned(),
            Secret::new("token"),
            "+15550100".to_owned(),
        );
        let email = EmailSender::new(settings, clock, Arc::new(OsEntropy)).unwrap();
        let dependencies = Dependencies::new(Arc::<ManualClock>::clone(&env.clock));
        env.message_senders =
            MessageSenders::new(Some(email), Some(SmsSender::new(api.unwrap()).unwrap()), &dependencies);
        let worker = env.worker().await;
        let client = signed_in(&env, "u", "s").await;
        Self {
            env,
            mail,
            sms,
            client,
            dependencies,
            _worker: worker,
        }
    }

    /// Enrols by email and returns the recovery codes. Two messages are sent: the code, and the notice of the change.
    async fn enrol(&mut self) -> Vec<String> {
        let answer = update(&mut self.client, by_email()).await;
        assert_success(&answer);
        let code = code_of(&self.mail.nth(EMAIL, 1).await.text);
        let verified = verify(&mut self.client, &answer["enrolment"]["sessionId"], &code).await;
        assert_success(&verified);
        self.mail.nth(EMAIL, 2).await;
        let codes = verified["recoveryCodes"].as_array().unwrap().iter();
        codes.map(|code| code.as_str().unwrap().to_owned()).collect()
    }

    /// Device with its challenge, and the code that was sent as the `count`th email.
    async fn challenged(&self, session: &str, count: usize) -> (Client, Value, String) {
        let mut device = self.env.client("u", session).await;
        let challenge = challenge(&mut device, "2fa_required", "email").await;
        let code = code_of(&self.mail.nth(EMAIL, count).await.text);
        (device, challenge, code)
    }
}

async fn signed_in(env: &TestEnv, user: &str, session: &str) -> Client {
    let mut client = env.client(user, session).await;
    client.signed_in = Some(lifecycle::Clock::now(&*env.clock).into());
    client
}

fn by_email() -> Value {
    json!({"twoFactorEnabled": true, "method": "email", "address": EMAIL})
}

fn by_sms() -> Value {
    json!({"twoFactorEnabled": true, "method": "sms", "address": NUMBER})
}

/// Challenge that answers a sensitive command, together with this error.
async fn challenge(client: &mut Client, error: &str, method: &str) -> Value {
    let outcome = disconnect(client).await;
    assert_error(&outcome.data.read().unwrap(), error);
    let notice: Value = outcome.leading_notice.expect("a challenge").data.read().unwrap();
    assert_eq!(notice["method"], method);
    assert!(
        notice["expiresIn"].as_u64().is_some_and(|seconds| seconds <= 300),
        "{notice}"
    );
    notice["sessionId"].clone()
}

/// Six digits of a message.
fn code_of(text: &str) -> String {
    let line = text.lines().find(|line| line.contains(" is your code")).unwrap();
    let code = line.split(' ').next().unwrap().to_owned();
    assert!(
        code.len() == 6 && code.bytes().all(|digit| digit.is_ascii_digit()),
        "{text}"
    );
    code
}

fn wrong_code(code: &str) -> String {
    let wrong = if code == "000000" { "000001" } else { "000000" };
    wrong.to_owned()
}

#[tokio::test]
async fn locked_factor_is_not_replaced_by_an_enrolment_from_before_and_sends_no_code() {
    let mut it = SenderTest::new().await;
    let mut support = application(&it.env).await;
    it.enrol().await;
    let answer = update(&mut it.client, json!({"twoFactorEnabled": true, "method": "totp"})).await;
    assert_success(&answer);
    let enrolment = &answer["enrolment"];
    let (id, secret) = (&enrolment["sessionId"], enrolment["secret"].as_str().unwrap());
    assert_eq!(lock(&mut support, None).await["isLocked"], true);
    assert_error(&verify(&mut it.client, id, &code(&it.env, secret)).await, "2fa_locked");
    let mut device = it.env.client("u", "device").await;
    assert_locked(&mut device).await;

    assert_eq!(unlock(&mut support).await["method"], "email");
    // The first code since the enrolment is that of the unlocked factor.
    challenge(&mut device, "2fa_required", "email").await;
    assert!(it.mail.nth(EMAIL, 3).await.text.contains(" is your code"));
    assert_success(&verify(&mut it.client, id, &code(&it.env, secret)).await);
}

#[tokio::test]
async fn sent_code_with_spaces_is_accepted() {
    let mut it = SenderTest::new().await;
    let answer = update(&mut it.client, by_email()).await;
    let spaced = |code: &str| {
        let (begin, end) = code.split_at(3);
        format!(" {begin} {end}\u{a0}")
    };
    let code = code_of(&it.mail.nth(EMAIL, 1).await.text);
    let verified = verify(&mut it.client, &answer["enrolment"]["sessionId"], &spaced(&code)).await;
    assert_success(&verified);
    it.mail.nth(EMAIL, 2).await;

    let (mut device, challenge, code) = it.challenged("t", 3).await;
    assert_success(&verify(&mut device, &challenge, &spaced(&code)).await);
}

#[tokio::test]
async fn email_factor_is_enrolled_challenged_and_verified() {
    let mut it = SenderTest::new().await;
    let answer = update(&mut it.client, by_email()).await;
    assert_success(&answer);
    let enrolment = &answer["enrolment"];
    assert_eq!(
        (&enrolment["method"], &enrolment["expiresIn"], &enrolment["secret"]),
        (&json!("email"), &json!(600), &Value::Null)
    );
    assert_eq!(answer["settings"]["twoFactorEnabled"], false);
    let mail = it.mail.nth(EMAIL, 1).await;
    assert!(
        mail.text.contains("From: Postern <postern@example.org>\n"),
        "{}",
        mail.text
    );
    let code = code_of(&mail.text);
    assert_error(
        &verify(&mut it.client, &enrolment["sessionId"], &wrong_code(&code)).await,
        "2fa_invalid",
    );
    let verified = verify(&mut it.client, &enrolment["sessionId"], &code).await;
    assert_success(&verified);
    assert_eq!(verified["recoveryCodes"].as_array().unwrap().len(), 10);
    let notice = it.mail.nth(EMAIL, 2).await;
    assert!(
        notice.text.contains("Subject: Your second factor was changed\n"),
        "{}",
        notice.text
    );

    let (mut device, asked, code) = it.challenged("t", 3).await;
    // A second command of the session gets the same challenge, and no second message is sent.
    assert_eq!(challenge(&mut device, "2fa_required", "email").await, asked);
    assert_error(&verify(&mut device, &asked, &wrong_code(&code)).await, "2fa_invalid");
    assert_success(&verify(&mut device, &asked, &code).await);
    assert_error(&disconnect(&mut device).await.data.read().unwrap(), "not_connected");
    assert_eq!(it.mail.mails(EMAIL).len(), 3);
    it.env
        .wait_for_count("postern_worker_factor_messages_total", &["email", "sent"], 3)
        .await;
}

#[tokio::test]
async fn sms_factor_uses_the_messages_api_of_its_account() {
    let mut it = SenderTest::new().await;
    let answer = update(&mut it.client, by_sms()).await;
    assert_success(&answer);
    let message = it.sms.nth(NUMBER, 1).await;
    assert_eq!(
        (message.request.as_str(), message.login.as_str(), message.from.as_str()),
        ("POST /2010-04-01/Accounts/AC1/Messages.json", "AC1:token", "+15550100")
    );
    let verified = verify(
        &mut it.client,
        &answer["enrolment"]["sessionId"],
        &code_of(&message.text),
    )
    .await;
    assert_success(&verified);
    it.sms.nth(NUMBER, 2).await;
    let mut device = it.env.client("u", "t").await;
    let asked = challenge(&mut device, "2fa_required", "sms").await;
    let code = code_of(&it.sms.nth(NUMBER, 3).await.text);
    assert_success(&verify(&mut device, &asked, &code).await);
}

#[tokio::test]
async fn sent_challenge_is_accepted_once_in_its_own_session_for_five_minutes() {
    let mut it = SenderTest::new().await;
    it.enrol().await;
    let (mut device, asked, code) = it.challenged("t", 3).await;
    let mut other = it.env.client("u", "other").await;
    let mut stranger = it.env.client("v", "t").await;
    for foreign in [&mut other, &mut stranger] {
        assert_error(&verify(foreign, &asked, &code).await, "challenge_expired");
    }
    let altered = json!(format!("{}x", asked.as_str().unwrap()));
    assert_error(&verify(&mut device, &altered, &code).await, "challenge_expired");
    assert_success(&verify(&mut device, &asked, &code).await);
    assert_error(&verify(&mut device, &asked, &code).await, "challenge_expired");

    let (mut late, asked, code) = it.challenged("late", 4).await;
    it.env.clock.advance(Duration::from_secs(300));
    assert_error(&verify(&mut late, &asked, &code).await, "challenge_expired");
}

#[tokio::test]
async fn sent_code_presented_twice_concurrently_is_accepted_once() {
    let mut it = SenderTest::new().await;
    it.enrol().await;
    let (mut one, asked, code) = it.challenged("t", 3).await;
    let mut two = it.env.client("u", "t").await;
    let answers = tokio::join!(verify(&mut one, &asked, &code), verify(&mut two, &asked, &code));
    let successes = [answers.0, answers.1]
        .iter()
        .filter(|answer| answer["success"] == true)
        .count();
    assert_eq!(successes, 1);
}

#[tokio::test]
async fn concurrent_commands_send_one_message() {
    let mut it = SenderTest::new().await;
    it.enrol().await;
    let (mut one, mut two) = (it.env.client("u", "t").await, it.env.client("u", "t").await);
    let asked = tokio::join!(
        challenge(&mut one, "2fa_required", "email"),
        challenge(&mut two, "2fa_required", "email")
    );
    assert_eq!(asked.0, asked.1);
    let code = code_of(&it.mail.nth(EMAIL, 3).await.text);
    assert_eq!(it.mail.mails(EMAIL).len(), 3);
    assert_success(&verify(&mut one, &asked.0, &code).await);
}

#[tokio::test]
async fn fourth_message_to_user_is_rate_limited_and_recovery_code_still_works() {
    let mut it = SenderTest::new().await;
    let recovery = it.enrol().await;
    for (session, count) in [("two", 3), ("three", 4)] {
        it.challenged(session, count).await;
    }
    let mut device = it.env.client("u", "four").await;
    let outcome = disconnect(&mut device).await;
    let answer: Value = outcome.data.read().unwrap();
    assert_error(&answer, "rate_limited");
    assert!(
        answer["retryAfter"]
            .as_u64()
            .is_some_and(|wait| (1..=600).contains(&wait)),
        "{answer}"
    );
    let asked = challenge(&mut device, "rate_limited", "email").await;
    assert_eq!(it.mail.mails(EMAIL).len(), 4);
    assert_success(&verify(&mut device, &asked, recovery.first().unwrap()).await);
}

#[tokio::test]
async fn fourth_message_to_address_is_rate_limited_across_users() {
    let it = SenderTest::new().await;
    for user in ["a", "b", "c"] {
        assert_success(&update(&mut signed_in(&it.env, user, "s").await, by_sms()).await);
    }
    let mut fourth = signed_in(&it.env, "d", "s").await;
    assert_error(&update(&mut fourth, by_sms()).await, "rate_limited");
    assert_eq!(it.sms.messages(NUMBER).len(), 3);
}

#[tokio::test]
async fn new_address_applies_after_confirmation_and_both_are_notified() {
    let mut it = SenderTest::new().await;
    it.enrol().await;
    let answer = update(&mut it.client, json!({"method": "sms", "address": NUMBER})).await;
    assert_success(&answer);
    assert_eq!(answer["settings"]["method"], "email");
    let code = code_of(&it.sms.nth(NUMBER, 1).await.text);
    assert_success(&verify(&mut it.client, &answer["enrolment"]["sessionId"], &code).await);
    assert!(
        it.mail
            .nth(EMAIL, 3)
            .await
            .text
            .contains("second factor of your account was changed")
    );
    assert!(
        it.sms
            .nth(NUMBER, 2)
            .await
            .text
            .contains("second factor of your account was changed")
    );
    let mut device = it.env.client("u", "t").await;
    challenge(&mut device, "2fa_required", "sms").await;

    assert_success(&update(&mut it.client, json!({"twoFactorEnabled": false})).await);
    it.sms.nth(NUMBER, 4).await;
    assert_error(&disconnect(&mut device).await.data.read().unwrap(), "not_connected");
}

#[tokio::test]
async fn unsent_code_reports_unavailable_and_is_sent_by_the_next_command() {
    let mut it = SenderTest::new().await;
    it.enrol().await;
    it.mail.refuse_recipients(true);
    let mut device = it.env.client("u", "t").await;
    let asked = challenge(&mut device, "unavailable", "email").await;
    it.env
        .wait_for_count("postern_worker_factor_messages_total", &["email", "refused"], 1)
        .await;
    it.mail.refuse_recipients(false);
    assert_eq!(challenge(&mut device, "2fa_required", "email").await, asked);
    let code = code_of(&it.mail.nth(EMAIL, 3).await.text);
    assert_success(&verify(&mut device, &asked, &code).await);
}

#[tokio::test]
async fn messages_are_timed_by_method_and_outcome() {
    let mut it = SenderTest::new().await;
    it.sms.answers(500);
    assert_error(&update(&mut it.client, by_sms()).await, "unavailable");
    assert_success(&update(&mut it.client, by_email()).await);
    for labels in [
        ["method=\"sms\"", "outcome=\"refused\""],
        ["method=\"email\"", "outcome=\"sent\""],
    ] {
        let duration = "postern_worker_factor_message_duration_seconds_count";
        it.env.wait_for_count(duration, &labels, 1).await;
        it.env
            .wait_for_count("postern_worker_factor_messages_total", &labels, 1)
            .await;
    }
}

#[tokio::test]
async fn outage_of_a_sender_is_one_line_at_its_begin_and_one_at_its_end() {
    let log = Log::default();
    let _guard = log.capture();
    let mut it = SenderTest::new().await;
    let states = |it: &SenderTest| {
        let statuses = it.dependencies.statuses().into_iter();
        statuses
            .map(|status| (status.name, status.state.as_str()))
            .collect::<Vec<_>>()
    };
    assert_eq!(states(&it), [("smtp", "unused"), ("sms", "unused")]);
    it.sms.answers(400);
    assert_error(&update(&mut it.client, by_sms()).await, "unavailable");
    assert_eq!(
        states(&it),
        [("smtp", "unused"), ("sms", "up")],
        "one message was refused"
    );

    it.sms.answers(503);
    let mut other = signed_in(&it.env, "v", "t").await;
    let to_another_number = json!({"twoFactorEnabled": true, "method": "sms", "address": "+436607654321"});
    for _ in 0..2 {
        assert_error(&update(&mut other, to_another_number.clone()).await, "unavailable");
    }
    assert_eq!(states(&it), [("smtp", "unused"), ("sms", "down")]);
    let failed = Instant::now();
    wait::until_true("a second without a failure", wait::deadline(), async || {
        failed.elapsed() > Duration::from_secs(1)
    })
    .await;
    it.sms.answers(201);
    assert_success(&update(&mut it.client, by_sms()).await);
    assert_eq!(states(&it), [("smtp", "unused"), ("sms", "up")]);

    let (began, ended) = (log.lines("outage began"), log.lines("outage ended"));
    assert_eq!((began.len(), ended.len()), (1, 1), "{began:?} {ended:?}");
    assert!(began[0].contains("dependency=\"sms\" class=\"refused\""), "{began:?}");
    assert!(ended[0].contains("failures=2"), "{ended:?}");
    assert_eq!(log.lines(" WARN ").len(), 2, "the refused message and the outage");
}

#[tokio::test]
async fn recovery_code_answers_challenge_without_message() {
    let mut it = SenderTest::new().await;
    let recovery = it.enrol().await;
    let unused = MailServer::start(MailSecurity::Plain).await;
    drop(std::mem::replace(&mut it.mail, unused));
    let mut device = it.env.client("u", "t").await;
    let asked = challenge(&mut device, "unavailable", "email").await;
    it.env
        .wait_for_count("postern_worker_factor_messages_total", &["email", "unreached"], 1)
        .await;
    assert_success(&verify(&mut device, &asked, recovery.first().unwrap()).await);
}

#[tokio::test]
async fn enrolment_with_unsent_code_reports_unavailable_and_can_be_repeated() {
    let mut it = SenderTest::new().await;
    it.sms.answers(500);
    assert_error(&update(&mut it.client, by_sms()).await, "unavailable");
    it.sms.answers(201);
    let answer = update(&mut it.client, by_sms()).await;
    assert_success(&answer);
    let code = code_of(&it.sms.nth(NUMBER, 1).await.text);
    assert_success(&verify(&mut it.client, &answer["enrolment"]["sessionId"], &code).await);
}

#[tokio::test]
async fn malformed_address_or_missing_sign_in_sends_no_message() {
    let mut it = SenderTest::new().await;
    for (method, address) in [
        ("sms", "0660 1234567"),
        ("sms", EMAIL),
        ("email", NUMBER),
        ("email", "a@b, c@d"),
    ] {
        let asked = json!({"twoFactorEnabled": true, "method": method, "address": address});
        let message = assert_error(&update(&mut it.client, asked).await, "bad_request");
        assert!(message.starts_with("settings.address: "), "{message}");
    }
    assert_error(
        &update(&mut it.client, json!({"twoFactorEnabled": true, "method": "sms"})).await,
        "bad_request",
    );
    it.client.signed_in = None;
    assert_error(&update(&mut it.client, by_sms()).await, "reauth_required");
    assert!(it.sms.messages(NUMBER).is_empty());
}
