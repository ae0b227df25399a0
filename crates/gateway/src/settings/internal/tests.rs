//! Callers of the internal API: tokens files, and the search of a token.

use serde_json::{Value, json};

use super::*;

fn hash(token: &str) -> String {
    HEXLOWER_PERMISSIVE.encode(&Sha256::digest(token))
}

fn entry(name: &str, scopes: &[&str], token: &str) -> Value {
    json!({ "name": name, "scopes": scopes, "sha256": hash(token) })
}

fn read(entries: &Value) -> Result<InternalCallers, InvalidTokensFile> {
    InternalCallers::default().with_tokens_file(entries.to_string().as_bytes())
}

fn name_of<'a>(callers: &'a InternalCallers, token: &str) -> Option<Option<&'a str>> {
    callers.find(&Secret::new(token)).map(|caller| caller.name.as_deref())
}

#[test]
fn caller_is_found_by_its_token_and_not_by_the_hash_of_it() {
    let list = json!([
        entry("billing", &["publish_events"], "one"),
        entry("billing", &["publish_events"], "two"),
        entry("support", &["read_connections", "end_sessions"], "three"),
    ]);
    let callers = read(&list).unwrap().with_single_token(&Secret::new("single"));
    for (token, name) in [
        ("one", Some("billing")),
        ("two", Some("billing")),
        ("three", Some("support")),
        ("single", None),
    ] {
        assert_eq!(name_of(&callers, token), Some(name), "{token}");
        assert_eq!(name_of(&callers, &hash(token)), None, "a stolen hash of {token}");
    }
    assert_eq!(name_of(&callers, "four"), None);
    assert_eq!(name_of(&callers, ""), None);
    let support = callers.find(&Secret::new("three")).unwrap();
    assert_eq!(support.scopes, [Scope::ReadConnections, Scope::EndSessions]);
    assert_eq!(callers.find(&Secret::new("single")).unwrap().scopes, Scope::ALL);
}

#[test]
fn replaced_file_removes_its_own_tokens_only() {
    let callers = read(&json!([entry("billing", &["publish_events"], "one")])).unwrap();
    let callers = callers.with_single_token(&Secret::new("single"));
    let replaced = callers.with_tokens_file(b"[]").unwrap();
    assert_eq!(name_of(&replaced, "one"), None);
    assert_eq!(name_of(&replaced, "single"), Some(None));
}

#[test]
fn scopes_are_named_in_the_file_as_in_refusals() {
    for scope in Scope::ALL {
        let callers = read(&json!([entry("a", &[scope.as_str()], "t")])).unwrap();
        assert_eq!(callers.find(&Secret::new("t")).unwrap().scopes, [scope]);
    }
}

#[test]
fn invalid_file_is_refused_whole_without_quoting_it() {
    let valid = entry("billing", &["publish_events"], "one");
    let with = |key: &str, value: Value| {
        let mut changed = entry("second", &["end_sessions"], "two");
        changed[key] = value;
        json!([valid, changed])
    };
    let many: Vec<_> = (0..257)
        .map(|n| entry("n", &["end_sessions"], &n.to_string()))
        .collect();
    for (list, error) in [
        (with("name", json!("")), InvalidTokensFile::Name(2)),
        (with("name", json!("a b")), InvalidTokensFile::Name(2)),
        (with("name", json!("a\nb")), InvalidTokensFile::Name(2)),
        (with("name", json!("x".repeat(65))), InvalidTokensFile::Name(2)),
        (with("scopes", json!([])), InvalidTokensFile::NoScope(2)),
        (with("sha256", json!("")), InvalidTokensFile::Digest(2)),
        (with("sha256", json!("g".repeat(64))), InvalidTokensFile::Digest(2)),
        (with("sha256", json!(hash("two") + "00")), InvalidTokensFile::Digest(2)),
        (
            with("sha256", json!(hash("one").to_uppercase())),
            InvalidTokensFile::Repeated(2),
        ),
        (with("sha256", json!(hash(""))), InvalidTokensFile::EmptyToken(2)),
        (json!(many), InvalidTokensFile::TooMany),
    ] {
        assert_eq!(read(&list).unwrap_err(), error);
    }
    for list in [
        with("scopes", json!(["everything"])),
        with("scopes", json!("end_sessions")),
        with("token", json!("hunter2")),
        json!({ "name": "hunter2" }),
        json!("hunter2"),
    ] {
        let error = read(&list).unwrap_err();
        assert!(matches!(error, InvalidTokensFile::Syntax { line: 1, .. }), "{error:?}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let empty = InternalCallers::default();
    assert!(matches!(
        empty.with_tokens_file(b""),
        Err(InvalidTokensFile::Syntax { .. })
    ));
    let padded = [b"[]".as_slice(), &[b' '; MAX_FILE]].concat();
    assert_eq!(empty.with_tokens_file(&padded).err(), Some(InvalidTokensFile::TooLarge));
}

#[test]
fn limits_are_those_of_the_caller_and_have_defaults() {
    let with = |limits: Value, token: &str| {
        let mut entry = entry("billing", &["publish_events"], token);
        entry
            .as_object_mut()
            .unwrap()
            .extend(limits.as_object().unwrap().clone());
        entry
    };
    let limits = |entries: &Value| read(entries).map(|callers| callers.find(&Secret::new("one")).unwrap().limits);
    let plain = json!([with(json!({}), "one")]);
    assert_eq!(limits(&plain), Ok(CallerLimits::DEFAULT));
    let own = json!({ "requests_per_second": 7, "requests_in_flight": 1_000_000 });
    let read_limits = limits(&json!([with(own.clone(), "one"), with(own.clone(), "two")])).unwrap();
    assert_eq!(read_limits.requests_per_second.get(), 7);
    assert_eq!(read_limits.requests_in_flight.get(), 1_000_000);
    for wrong in [
        json!({ "requests_per_second": 0 }),
        json!({ "requests_in_flight": 0 }),
        json!({ "requests_in_flight": 1_000_001 }),
    ] {
        assert_eq!(limits(&json!([with(wrong, "one")])), Err(InvalidTokensFile::Limit(1)));
    }
    let differing = json!([with(own, "one"), with(json!({}), "two")]);
    assert_eq!(limits(&differing), Err(InvalidTokensFile::OtherLimits(2)));
    let negative = json!([with(json!({ "requests_per_second": -1 }), "one")]);
    assert!(matches!(limits(&negative), Err(InvalidTokensFile::Syntax { .. })));
}

#[test]
fn debug_shows_names_and_no_digest() {
    let callers = read(&json!([entry("billing", &["publish_events"], "one")])).unwrap();
    let shown = format!("{callers:?}");
    assert!(shown.contains("billing") && !shown.contains(&hash("one")), "{shown}");
    assert!(!shown.contains("digest"), "{shown}");
}
