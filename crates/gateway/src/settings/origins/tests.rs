//! Origins that a list allows and refuses.

use super::*;

#[test]
fn only_listed_origins_are_allowed() {
    let origins =
        Origins::parse("https://app.example.com, https://admin.example.com:8443/, https://a.example:443").unwrap();
    for allowed in [
        "https://app.example.com",
        "https://admin.example.com:8443",
        "https://a.example",
    ] {
        assert!(origins.allows(allowed), "{allowed}");
    }
    for foreign in [
        "null",
        "",
        "https://evil.com",
        "http://app.example.com",
        "https://app.example.com:444",
        "https://app.example.com.evil.com",
        "HTTPS://APP.EXAMPLE.COM",
        "https://app.example.com/",
        "http://localhost:3000",
    ] {
        assert!(!origins.allows(foreign), "{foreign}");
    }
}

#[test]
fn loopback_origins_are_allowed_on_request() {
    let origins = Origins::none().with_loopback();
    for local in ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:8080"] {
        assert!(origins.allows(local), "{local}");
    }
    for foreign in [
        "http://localhost.evil.com",
        "https://example.com",
        "null",
        "http://LOCALHOST",
    ] {
        assert!(!origins.allows(foreign), "{foreign}");
    }
}

#[test]
fn entry_that_is_not_an_origin_is_rejected() {
    for bad in [
        "app.example.com",
        "https://",
        "https://a.example/path",
        "https://a.example?q",
        "NULL",
        "data:x",
        "javascript:x",
        "https://me@a.example",
        "://localhost",
        "1app://localhost",
        "app://",
        "capacitor://localhost/index.html",
        "capacitor://me@localhost",
    ] {
        assert_eq!(Origins::parse(bad), Err(InvalidOrigin(bad.to_owned())), "{bad}");
    }
}

#[test]
fn listed_app_origins_and_null_are_allowed() {
    let listed = "capacitor://localhost, ionic://localhost,tauri://localhost, chrome-extension://abcdefghijklmnop, \
                  moz-extension://8f2c0b1a-5d3e, app://., file://, null, App://Home";
    let origins = Origins::parse(listed).unwrap();
    for allowed in [
        "capacitor://localhost",
        "ionic://localhost",
        "tauri://localhost",
        "chrome-extension://abcdefghijklmnop",
        "moz-extension://8f2c0b1a-5d3e",
        "app://.",
        "file://",
        "null",
        "app://Home",
    ] {
        assert!(origins.allows(allowed), "{allowed}");
        assert!(
            !Origins::parse("https://app.example.com").unwrap().allows(allowed),
            "{allowed}"
        );
    }
    for foreign in [
        "capacitor://localhost.evil",
        "capacitor://localhos",
        "chrome-extension://abcdefghijklmnopq",
        "http://localhost",
        "app://..",
        "",
        "nul",
    ] {
        assert!(!origins.allows(foreign), "{foreign}");
    }
}

#[test]
fn wildcard_matches_one_or_more_labels() {
    let origins = Origins::parse("https://*.example.com, http://*.Example.ORG:8080/, https://*.localhost").unwrap();
    for allowed in [
        "https://app.example.com",
        "https://a.b.example.com",
        "https://xn--bcher-kva.example.com",
        "https://my_app-1.example.com",
        "http://app.example.org:8080",
        "https://app.localhost",
    ] {
        assert!(origins.allows(allowed), "{allowed}");
    }
    for foreign in [
        "https://example.com",
        "https://.example.com",
        "https://a..example.com",
        "https://evilexample.com",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com.evil.com",
        "https://evil.com/.example.com",
        "https://evil.com:80.example.com",
        "https://evil.com?.example.com",
        "https://me@app.example.com",
        "https://APP.example.com",
        "https://*.example.com",
        "http://app.example.org",
    ] {
        assert!(!origins.allows(foreign), "{foreign}");
    }
}

#[test]
fn wildcard_that_matches_nothing_or_everything_is_rejected() {
    for bad in [
        "*",
        "*://app.example.com",
        "*.example.com",
        "https://*",
        "https://*.com",
        "https://*.com.",
        "https://*.*.example.com",
        "https://app*.example.com",
        "https://app.*.com",
        "https://*example.com",
        "https://*.example.com:*",
        "https://*.example.com/path",
        "https://*.192.0.2.1",
        "https://*.[::1]",
        "http://localhost:*",
        "chrome-extension://*",
    ] {
        assert_eq!(Origins::parse(bad), Err(InvalidOrigin(bad.to_owned())), "{bad}");
    }
}
