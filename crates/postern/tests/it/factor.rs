//! Second factor over a whole cluster: enrolment, step-up, single use of codes, guessing.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::Redis;
use testkit::client::SocketIo;
use testkit::cluster::Cluster;
use testkit::{token, wait};
use tokio::time::Instant;

use crate::command_line::postern;
use crate::stage::{POSTERN, Platforms, client, cluster};

pub(crate) const USER: &str = "GEN-001";

/// Code of the authenticator, so many steps from now.
pub(crate) fn code(secret: &str, steps: i64) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    totp.generate(token::now().checked_add_signed(30 * steps).unwrap())
        .to_string()
}

/// Code of the previous step, with some seconds left before it becomes the one before that, which would be refused.
pub(crate) async fn code_of_previous_step(secret: &str) -> String {
    wait::until_true("a step with time left", wait::deadline(), async || {
        token::now() % 30 < 24
    })
    .await;
    code(secret, -1)
}

/// A code that differs from those of the neighbouring steps.
fn wrong(secret: &str) -> String {
    let right: Vec<_> = (-3..=3).map(|steps| code(secret, steps)).collect();
    let mut codes = (0..).map(|number| format!("{number:06}"));
    codes.find(|code| !right.contains(code)).unwrap()
}

pub(crate) async fn update(client: &SocketIo, settings: Value) -> Value {
    let command = json!({"userId": USER, "settings": settings});
    client.emit_with_ack("security:update_settings", command).await
}

pub(crate) async fn verify(client: &SocketIo, challenge: &Value, token: &str) -> Value {
    let command = json!({"userId": USER, "sessionId": challenge, "token": token});
    client.emit_with_ack("security:verify_2fa", command).await
}

pub(crate) async fn disconnect(client: &SocketIo) -> Value {
    let command = json!({"userId": USER, "accountType": "github"});
    client.emit_with_ack("account:disconnect", command).await
}

/// Ends the cluster, which must have stored no secret.
async fn finish(cluster: Cluster) {
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

/// Challenge with which a sensitive command is answered.
pub(crate) async fn challenge(client: &SocketIo) -> Value {
    assert_eq!(disconnect(client).await["error"], "2fa_required");
    let required = client.next_event("security:2fa_required").await;
    assert_eq!(
        (&required.data["userId"], &required.data["method"]),
        (&json!(USER), &json!("totp"))
    );
    assert_eq!(required.offset, None);
    required.data["sessionId"].clone()
}

/// Turns the factor on with the code of the previous step, so that the current one is still to be used. Returns the secret and the
/// recovery codes.
pub(crate) async fn enrol(client: &SocketIo) -> (String, Vec<String>) {
    let answer = update(client, json!({"twoFactorEnabled": true, "method": "totp"})).await;
    assert_eq!(answer["success"], true, "{answer}");
    let enrolment = &answer["enrolment"];
    let secret = enrolment["secret"].as_str().unwrap().to_owned();
    let previous = code_of_previous_step(&secret).await;
    let verified = verify(client, &enrolment["sessionId"], &previous).await;
    assert_eq!(verified["success"], true, "{verified}");
    let codes = verified["recoveryCodes"].as_array().unwrap().iter();
    let codes = codes.map(|code| code.as_str().unwrap().to_owned()).collect();
    (secret, codes)
}

#[tokio::test]
async fn a_second_factor_is_set_up_asked_for_and_given() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let (first, other) = (client(&cluster, 0, USER).await, client(&cluster, 1, USER).await);
    let (secret, recovery) = enrol(&first).await;
    for device in [&first, &other] {
        let updated = device.next_event("security:settings_updated").await;
        let settings = json!({"sessionTimeout": 30, "twoFactorEnabled": true, "method": "totp"});
        assert_eq!(updated.data["settings"], settings);
        let alert = device.next_event("security:alert").await;
        assert_eq!(
            (&alert.data["type"], &alert.data["requiresAction"]),
            (&json!("settings_changed"), &json!(true))
        );
    }

    // The socket that entered the first code needs no other; the other device of the same session does.
    assert_eq!(disconnect(&first).await["error"], "not_connected");
    let asked = challenge(&other).await;
    assert_eq!(verify(&other, &asked, &wrong(&secret)).await["error"], "2fa_invalid");
    // An open alert may arrive twice at a socket that has just joined.
    while first.next_event("security:alert").await.data["type"] != "failed_2fa" {}
    let verified = verify(&other, &asked, &recovery[0]).await;
    assert_eq!(verified["success"], true, "{verified}");
    assert!(
        verified["expiresAt"].is_string() && verified["recoveryCodes"].is_null(),
        "{verified}"
    );
    assert_eq!(disconnect(&other).await["error"], "not_connected");

    // Used challenges are invalid.
    assert_eq!(
        verify(&other, &asked, &code(&secret, 0)).await["error"],
        "challenge_expired"
    );
    let third = client(&cluster, 0, USER).await;
    let asked = challenge(&third).await;
    assert_eq!(verify(&third, &asked, &recovery[0]).await["error"], "2fa_invalid");

    assert_eq!(
        update(&other, json!({"twoFactorEnabled": false})).await["success"],
        true
    );
    assert_eq!(disconnect(&third).await["error"], "not_connected");
    // All of it is in the audit log, refusals once a gateway has reported them: as it does when it ends.
    for gateway in [0, 1] {
        cluster.gateway(gateway).terminate();
    }
    let rows = "SELECT action, subject, result, session_id, count FROM audit \
                WHERE action LIKE 'factor%' OR action = 'command_refused' ORDER BY action = 'command_refused', \
                CASE WHEN action <> 'command_refused' THEN seq END, subject, result, count";
    let received = wait::until("the rows of the refusals", wait::deadline(), async || {
        Some(cluster.schema().sql(rows).await).filter(|rows| rows.len() >= 9)
    })
    .await;
    assert_eq!(
        received,
        [
            "factor_setup_started\ttotp\tok\tdefault\t1",
            "factor_enabled\ttotp\tok\tdefault\t1",
            "factor_verified\ttotp recovery code\tok\tdefault\t1",
            "factor_disabled\ttotp\tok\tdefault\t1",
            "command_refused\taccount:disconnect\t2fa_required\tdefault\t1",
            "command_refused\taccount:disconnect\t2fa_required\tdefault\t1",
            "command_refused\tsecurity:verify_2fa\t2fa_invalid\tdefault\t1",
            "command_refused\tsecurity:verify_2fa\t2fa_invalid\tdefault\t1",
            "command_refused\tsecurity:verify_2fa\tchallenge_expired\tdefault\t1",
        ]
    );
}

#[tokio::test]
async fn code_sent_forty_times_at_once_on_two_gateways_is_accepted_once() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let owner = client(&cluster, 0, USER).await;
    let (secret, _) = enrol(&owner).await;
    let (one, two) = (client(&cluster, 0, USER).await, client(&cluster, 1, USER).await);
    let (first, second) = (challenge(&one).await, challenge(&two).await);
    let code = code(&secret, 0);
    let throw = async |socket: &SocketIo, asked: &Value| join_all((0..20).map(|_| verify(socket, asked, &code))).await;
    let answers = tokio::join!(throw(&one, &first), throw(&two, &second));
    let answers = [answers.0, answers.1].concat();
    let count = |error: &Value| answers.iter().filter(|answer| answer["error"] == *error).count();
    assert_eq!(count(&Value::Null), 1, "{answers:?}");
    let refused = ["2fa_invalid", "challenge_expired", "rate_limited"].map(|code| count(&json!(code)));
    assert_eq!(refused.iter().sum::<usize>(), 39, "{answers:?}");
    finish(cluster).await;
}

#[tokio::test]
async fn of_200_guesses_from_20_sockets_five_are_checked_in_a_minute() {
    let platforms = Platforms::start().await;
    let cluster = platforms.linked_to(Cluster::builder(POSTERN)).gateways(3).start().await;
    let owner = client(&cluster, 0, USER).await;
    let (secret, _) = enrol(&owner).await;
    let guess = wrong(&secret);
    let sockets = join_all((0..20).map(|number| client(&cluster, number % 3, USER))).await;
    let asked = challenge(&sockets[0]).await;
    let started = Instant::now();
    let guessing = sockets
        .iter()
        .map(async |socket| join_all((0..10).map(|_| verify(socket, &asked, &guess))).await);
    let answers: Vec<Value> = join_all(guessing).await.into_iter().flatten().collect();
    assert!(started.elapsed() < Duration::from_secs(60), "too slow to tell");
    let count = |code: &str| answers.iter().filter(|answer| answer["error"] == code).count();
    // The first code, at enrolment, was the first of the five.
    assert_eq!((count("2fa_invalid"), count("rate_limited")), (4, 196));
    assert!(
        answers
            .iter()
            .all(|answer| answer["error"] != "rate_limited" || answer["retryAfter"].is_u64())
    );
    finish(cluster).await;
}

#[tokio::test]
async fn flood_of_codes_in_a_stolen_session_leaves_the_owner_attempts_in_the_same_minute() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let owner = fresh(&cluster, 0, "owner", 0).await;
    let (secret, _) = enrol(&owner).await;
    let (thief, device) = (
        fresh(&cluster, 1, "stolen", -301).await,
        fresh(&cluster, 0, "owner", 0).await,
    );
    let started = Instant::now();
    let guess = wrong(&secret);
    let never_opened = json!("never opened");
    let junk = join_all((0..4).map(|_| verify(&thief, &never_opened, &guess))).await;
    assert!(
        junk.iter().all(|answer| answer["error"] == "challenge_expired"),
        "{junk:?}"
    );
    let asked = challenge(&thief).await;
    let malformed = join_all((0..2).map(|_| verify(&thief, &asked, "12345"))).await;
    assert!(
        malformed.iter().all(|answer| answer["error"] == "bad_request"),
        "{malformed:?}"
    );
    let guesses = join_all((0..4).map(|_| verify(&thief, &asked, &guess))).await;
    let looked_at = guesses.iter().filter(|answer| answer["error"] == "2fa_invalid");
    assert_eq!(looked_at.count(), 3, "{guesses:?}");

    let asked = challenge(&device).await;
    let verified = verify(&device, &asked, &code(&secret, 0)).await;
    assert!(started.elapsed() < Duration::from_secs(60), "too slow to tell");
    assert_eq!(verified["success"], true, "{verified}");
    finish(cluster).await;
}

#[tokio::test]
async fn challenge_is_bound_to_its_session_and_expires_after_five_minutes() {
    let platforms = Platforms::start().await;
    let redis = Redis::start().await;
    let builder = platforms.linked_to(Cluster::builder(POSTERN));
    let cluster = builder.redis(&redis).start().await;
    let owner = client(&cluster, 0, USER).await;
    let (secret, recovery) = enrol(&owner).await;
    let device = client(&cluster, 1, USER).await;
    let asked = challenge(&device).await;

    let now = token::now();
    let other_session = json!({"sub": USER, "sid": "other", "iat": now, "exp": now + 3_600});
    let other_session = cluster.token_with(&other_session);
    let other_session = SocketIo::connect(&cluster.endpoint(0), &other_session).await.unwrap();
    let stranger = client(&cluster, 0, "GEN-666").await;
    let right = code(&secret, 0);
    assert_eq!(
        verify(&other_session, &asked, &right).await["error"],
        "challenge_expired"
    );
    let foreign = json!({"userId": "GEN-666", "sessionId": asked, "token": right});
    let foreign = stranger.emit_with_ack("security:verify_2fa", foreign).await;
    assert_eq!(foreign["error"], "challenge_expired");
    let altered = json!(format!("{}x", asked.as_str().unwrap()));
    assert_eq!(verify(&device, &altered, &right).await["error"], "challenge_expired");

    // The challenge expires by Redis time: five minutes after it was issued.
    let key = redis.command(&["KEYS", "pn:*:2fa"]).await;
    let left: i64 = redis.command(&["PTTL", &key]).await.parse().unwrap();
    assert!((1..=300_000).contains(&left), "{left} ms of {key}");
    redis.command(&["PEXPIRE", &key, "1"]).await;
    wait::until_true("the challenge to be over", wait::deadline(), async || {
        redis.command(&["EXISTS", &key]).await == "0"
    })
    .await;
    for token in [&right, &recovery[0]] {
        let answer = verify(&device, &asked, token).await;
        assert_eq!(answer["error"], "challenge_expired", "{answer}");
    }
    finish(cluster).await;
}

#[tokio::test]
async fn enrolment_with_an_old_token_needs_reauthentication() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let now = token::now();
    let connect = async |claims: Value| {
        let token = cluster.token_with(&claims);
        SocketIo::connect(&cluster.endpoint(0), &token).await.unwrap()
    };
    for stolen in [
        json!({"sub": USER, "sid": "stolen", "iat": now - 301, "exp": now + 3_600}),
        json!({"sub": USER, "sid": "renewed", "iat": now, "auth_time": now - 301, "exp": now + 3_600}),
    ] {
        let thief = connect(stolen).await;
        let answer = update(&thief, json!({"twoFactorEnabled": true})).await;
        assert_eq!(answer["error"], "reauth_required", "{answer}");
        assert_eq!(update(&thief, json!({"sessionTimeout": 5})).await["success"], true);
    }
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn second_factor_delays_survive_loss_of_redis() {
    let platforms = Platforms::start().await;
    let redis = Redis::start().await;
    let cluster = platforms
        .linked_to(Cluster::builder(POSTERN))
        .redis(&redis)
        .start()
        .await;
    let owner = client(&cluster, 0, USER).await;
    let (secret, recovery) = enrol(&owner).await;
    let guess = wrong(&secret);
    // In two sessions: ten would end their session. Neither is the owner's, which has just entered a code.
    for session in ["one", "other"] {
        let device = &fresh(&cluster, 1, session, 0).await;
        guess_wrong(&redis, device, &guess, 5).await;
    }
    // A socket whose events Redis has lost is closed to reconnect; here it reconnects beforehand.
    owner.disconnect().await;
    redis.command(&["FLUSHALL"]).await;
    let owner = wait::until("commands to be done again", wait::deadline(), async || {
        let endpoint = cluster.endpoint(0);
        let device = SocketIo::connect(&endpoint, &cluster.token(USER)).await.ok()?;
        (disconnect(&device).await["error"] == "2fa_required").then_some(device)
    })
    .await;
    owner.next_event("security:2fa_required").await;
    let asked = challenge(&owner).await;
    let delayed = verify(&owner, &asked, &code(&secret, 0)).await;
    assert_eq!(delayed["error"], "rate_limited", "{delayed}");
    assert!(
        delayed["retryAfter"].as_u64().is_some_and(|wait| wait <= 30),
        "{delayed}"
    );
    // A recovery code may be used while codes may not.
    assert_eq!(verify(&owner, &asked, &recovery[0]).await["success"], true);
    finish(cluster).await;
}

#[tokio::test]
async fn ten_wrong_codes_in_a_session_end_it_on_every_gateway() {
    let platforms = Platforms::start().await;
    let redis = Redis::start().await;
    let cluster = platforms
        .linked_to(Cluster::builder(POSTERN))
        .redis(&redis)
        .start()
        .await;
    let owner = client(&cluster, 0, USER).await;
    let (secret, _) = enrol(&owner).await;
    let (guesser, idle) = (
        fresh(&cluster, 0, "thief", 0).await,
        fresh(&cluster, 1, "thief", 0).await,
    );
    guess_wrong(&redis, &guesser, &wrong(&secret), 10).await;
    for socket in [&guesser, &idle] {
        let expired = socket.next_event("security:session_expired").await;
        assert_eq!(expired.data["reason"], "ended");
        assert_eq!(socket.closed().await.code, 4403);
    }
    assert!(owner.is_open());
    finish(cluster).await;
}

#[tokio::test]
async fn fresh_sign_in_ends_a_thiefs_session_after_all_guesses_are_spent() {
    let platforms = Platforms::start().await;
    let cluster = cluster(&platforms).await;
    let first = client(&cluster, 0, USER).await;
    let (secret, _) = enrol(&first).await;
    // A token that was stolen more than five minutes after it was issued.
    let thief = fresh(&cluster, 1, "stolen", -301).await;
    let enabled = update(&thief, json!({"twoFactorEnabled": true, "method": "totp"})).await;
    assert_eq!(enabled["error"], "2fa_required", "{enabled}");
    let asked = challenge(&thief).await;
    let guess = wrong(&secret);
    let answers = join_all((0..9).map(|_| verify(&thief, &asked, &guess))).await;
    assert!(answers.iter().any(|answer| answer["error"] == "rate_limited"));
    let end_others = json!({"sessionId": "others"});
    let refused = thief.emit_with_ack("security:end_sessions", end_others.clone()).await;
    assert_eq!(refused["error"], "2fa_required", "{refused}");

    let owner = fresh(&cluster, 0, "owner", 0).await;
    let ended = owner.emit_with_ack("security:end_sessions", end_others).await;
    assert_eq!(ended["success"], true, "{ended}");
    assert_eq!(
        thief.next_event("security:session_expired").await.data["reason"],
        "ended"
    );
    assert_eq!(thief.closed().await.code, 4403);
    assert!(owner.is_open());
    finish(cluster).await;
}

/// A device in a session of its own, whose token was issued so many seconds from now.
async fn fresh(cluster: &Cluster, gateway: usize, session: &str, issued_in: i64) -> SocketIo {
    let now = token::now();
    let issued = now.checked_add_signed(issued_in).unwrap();
    let token = cluster.token_with(&json!({"sub": USER, "sid": session, "iat": issued, "exp": now + 3_600}));
    SocketIo::connect(&cluster.endpoint(gateway), &token).await.unwrap()
}

/// Sends so many wrong codes that are checked; the rate limit in Redis is deleted in between.
async fn guess_wrong(redis: &Redis, device: &SocketIo, guess: &str, count: u32) {
    let mut wrong = 0;
    while wrong < count {
        let asked = rates_forgotten(redis, device).await;
        let (before, mut limited) = (wrong, false);
        while wrong < count && !limited {
            let answer = verify(device, &asked, guess).await;
            match answer["error"].as_str() {
                Some("2fa_invalid") => wrong += 1,
                Some("rate_limited") => limited = true,
                _ => panic!("a guess was answered {answer}"),
            }
        }
        assert!(
            wrong - before <= 5 && (wrong - before >= 3 || wrong == count),
            "{before} {wrong}"
        );
    }
}

/// Deletes all rate limits in Redis; returns a challenge issued after that.
async fn rates_forgotten(redis: &Redis, client: &SocketIo) -> Value {
    let forget = "for _, key in ipairs(redis.call('KEYS', '*:rl:*')) do redis.call('DEL', key) end";
    redis.command(&["EVAL", forget, "0"]).await;
    challenge(client).await
}

#[tokio::test]
async fn operator_unlocks_and_resets_the_factor() {
    let platforms = Platforms::start().await;
    let keys = "rescue:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    let builder = Cluster::builder(POSTERN).worker_env("POSTERN_VAULT_KEYS", keys);
    let cluster = platforms.linked_to(builder).start().await;
    let owner = client(&cluster, 0, USER).await;
    let url = cluster.schema().url();
    let parts = [
        "--user",
        USER,
        "--database-url",
        &url,
        "--vault-keys",
        keys,
        "--operator",
        "alice",
    ];
    let factor = async |action: &str| postern(&[&["factor", action], &parts[..]].concat()).await;
    let none = factor("unlock").await;
    assert_ne!(none.status, 0);
    assert!(none.stderr.contains("GEN-001 has no second factor"), "{}", none.stderr);

    let (secret, _) = enrol(&owner).await;
    let device = client(&cluster, 1, USER).await;
    let asked = challenge(&device).await;
    let lock = "UPDATE security SET failures = 100, last_failed_at = now()";
    cluster.schema().sql(lock).await;
    assert_eq!(verify(&device, &asked, &code(&secret, 0)).await["error"], "2fa_locked");
    let unlocked = factor("unlock").await;
    assert_eq!(
        (unlocked.status, unlocked.stdout.trim()),
        (0, "unlocked the second factor of GEN-001")
    );
    assert_eq!(verify(&device, &asked, &code(&secret, 0)).await["success"], true);

    let reset = postern(&[&["factor", "reset", "--json"], &parts[..]].concat()).await;
    let expected = json!({"user": USER, "outcome": "removed"});
    assert_eq!(serde_json::from_str::<Value>(&reset.stdout).unwrap(), expected);
    let third = client(&cluster, 0, USER).await;
    assert_eq!(disconnect(&third).await["error"], "not_connected");
    wait::until_true("the devices to be notified", wait::deadline(), async || {
        let updated = device.next_event("security:settings_updated").await;
        updated.data["settings"]["twoFactorEnabled"] == false
    })
    .await;
    let by_operator =
        "SELECT action, subject, result, session_id FROM audit WHERE connection_id = 'operator' ORDER BY seq";
    assert_eq!(
        cluster.schema().sql(by_operator).await,
        [
            "factor_unlocked\ttotp\tok\toperator: alice",
            "factor_reset\ttotp\tok\toperator: alice"
        ]
    );
    finish(cluster).await;
}
