//! Names against the catalogue, and ids with special characters.

use super::*;

fn names() -> Names {
    Names::new(Prefix::default())
}

fn user(id: &str) -> UserId {
    UserId::new(id).unwrap()
}

#[test]
fn names_match_the_catalogue() {
    let (names, user) = (names(), user("GEN-001"));
    let (node, job) = (NodeId::new("gw-1").unwrap(), JobId::new("j 1").unwrap());
    let sync = Bucket {
        name: "sync",
        scope: Some("github".to_owned()),
    };
    let session = SessionKey {
        user: user.clone(),
        session: SessionId::new("s-1").unwrap(),
    };
    let written = [
        names.session(&session),
        names.warning(&session),
        names.sessions(&user),
        names.end_of_all(&user),
        names.sockets(&user),
        names.nodes(),
        names.event_channel(&user),
        names.log(&user),
        names.offset(&user),
        names.event_ids(&user),
        names.resume_tokens(&user),
        names.cell(&user, &sync),
        names.global_cell(&sync),
        names.global_challenge(GlobalChallenge::State, "00ff"),
        names.global_challenge(GlobalChallenge::PendingLink, "00ff"),
        names.challenges(&user, ChallengeKind::Confirmation),
        names.lane(Lane::Interactive),
        names.dead_letters(Lane::Platform),
        names.reply_channel(&node),
        names.reply(&node, &job),
    ];
    assert_eq!(
        written,
        [
            "pn:{GEN-001}:s:s-1",
            "pn:{GEN-001}:w:s-1",
            "pn:{GEN-001}:sids",
            "pn:{GEN-001}:ended",
            "pn:{GEN-001}:conn",
            "pn:nodes",
            "pn:{GEN-001}:ev",
            "pn:{GEN-001}:log",
            "pn:{GEN-001}:pos",
            "pn:{GEN-001}:eids",
            "pn:{GEN-001}:pids",
            "pn:{GEN-001}:rl:sync:github",
            "pn:rl:sync:github",
            "pn:oauth:00ff",
            "pn:link:00ff",
            "pn:{GEN-001}:confirm",
            "pn:{jobs:interactive}",
            "pn:{jobs:platform}:dead",
            "pn:{n:gw-1}",
            "pn:{n:gw-1}:r:j%201",
        ]
    );
}

#[test]
fn user_id_cannot_address_other_keys() {
    let names = names();
    for id in [
        "a}:ev",
        "jobs:interactive",
        "n:gw-1",
        "%7D",
        "a b",
        "*",
        "{",
        "user@host|1",
    ] {
        let channel = names.event_channel(&user(id));
        assert_eq!(channel.matches(['{', '}', '*']).count(), 2, "{channel}");
        assert_eq!(names.user_of_channel(&channel), Some(user(id)));
    }
    assert_ne!(names.log(&user("jobs:interactive")), names.lane(Lane::Interactive));
}

#[test]
fn session_is_decoded_from_its_keys() {
    let key = SessionKey {
        user: user("a}:s:b"),
        session: SessionId::new("w: }{").unwrap(),
    };
    for name in [names().session(&key), names().warning(&key)] {
        assert_eq!(names().session_of(&name), Some(key.clone()), "{name}");
    }
    let in_index = names().in_index(&key.session);
    assert!(names().session(&key).ends_with(&in_index));
    assert_eq!(names().indexed_session(in_index.as_bytes()), Some(key.session));
    for other in [
        "pn:{u}:log",
        "pn:{u}:sids",
        "pn:{u}:ended",
        "other:{u}:s:s-1",
        "pn:{probe:x}:expiry",
        "",
    ] {
        assert_eq!(names().session_of(other), None, "{other}");
    }
}

#[test]
fn other_channels_have_no_user() {
    for channel in ["pn:{GEN-001}:log", "other:{GEN-001}:ev", "pn:{}:ev", ""] {
        assert_eq!(names().user_of_channel(channel), None, "{channel}");
    }
}
