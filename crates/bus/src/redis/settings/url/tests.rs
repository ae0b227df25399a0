//! URLs of Redis.

use super::*;

fn parsed(text: &str) -> RedisUrl {
    text.parse().unwrap()
}

#[test]
fn url_parts_are_parsed() {
    let url = parsed("rediss://gate:p%40ss@redis.example:7000/3");
    assert_eq!(url.to_string(), "rediss://redis.example:7000/3");
    assert_eq!(login(&url), (Some("gate".to_owned()), Some("p@ss".to_owned())));
}

#[test]
fn omitted_url_parts_have_defaults() {
    let url = parsed("redis://localhost");
    assert_eq!(url.to_string(), "redis://localhost:6379/0");
    assert_eq!(login(&url), (None, None));
    assert_eq!(login(&parsed("redis://:secret@localhost")).0, None);
    assert_eq!(parsed("redis://[::1]:7000").to_string(), "redis://::1:7000/0");
}

#[test]
fn sentinels_of_a_url_are_parsed() {
    let url = parsed(
        "rediss-sentinel://gate:p,%40ss@s1.example,[::1]:7001,10.0.0.3:7002/3?sentinel_user=door&master=my%20one&sentinel_password=a+b%26c",
    );
    assert_eq!(
        url.to_string(),
        "rediss-sentinel://s1.example:26379,::1:7001,10.0.0.3:7002/3?master=my one"
    );
    assert_eq!(login(&url), (Some("gate".to_owned()), Some("p,@ss".to_owned())));
    assert_eq!(
        sentinel_login(&url),
        (Some("door".to_owned()), Some("a+b&c".to_owned()))
    );
    let url = parsed("redis-sentinel://s1?master=m");
    assert_eq!(url.to_string(), "redis-sentinel://s1:26379/0?master=m");
    assert_eq!((login(&url), sentinel_login(&url)), ((None, None), (None, None)));
}

#[test]
fn nodes_of_a_cluster_in_a_url_are_parsed() {
    let url = parsed("rediss-cluster://gate:p,%40ss@c1.example,[::1]:7001,10.0.0.3:7002/0");
    assert!(url.uses_tls());
    assert_eq!(
        url.to_string(),
        "rediss-cluster://c1.example:6379,::1:7001,10.0.0.3:7002"
    );
    assert_eq!(login(&url), (Some("gate".to_owned()), Some("p,@ss".to_owned())));
    let url = parsed("redis-cluster://c1");
    assert_eq!((url.uses_tls(), login(&url)), (false, (None, None)));
    let other = Secret::new("redis-cluster://:new@c2");
    assert_eq!(url.replace_credentials(&other), Err(RedisUrlChange::OtherServer));
    assert_eq!(
        url.replace_credentials(&Secret::new("redis-cluster://:new@c1:6379/")),
        Ok(())
    );
    assert_eq!(login(&url).1.as_deref(), Some("new"));
}

fn login(url: &RedisUrl) -> (Option<String>, Option<String>) {
    in_clear(&url.credentials)
}

fn sentinel_login(url: &RedisUrl) -> (Option<String>, Option<String>) {
    match &url.servers {
        Servers::Sentinel(sentinels) => in_clear(&sentinels.credentials),
        Servers::One(_) | Servers::Cluster(_) => panic!("no sentinels"),
    }
}

fn in_clear(credentials: &Reloadable<Credentials>) -> (Option<String>, Option<String>) {
    let credentials = credentials.get();
    let password = credentials.password.as_ref();
    (
        credentials.username.clone(),
        password.map(|password| password.expose().to_owned()),
    )
}

#[test]
fn password_is_not_displayed() {
    let url = parsed("redis://:hunter2@localhost");
    assert!(!format!("{url} {url:?} {:?}", url.credentials).contains("hunter2"));
    let url = parsed("redis-sentinel://:hunter2@localhost?master=m&sentinel_password=hunter2");
    assert!(!format!("{url} {url:?}").contains("hunter2"));
}

#[test]
fn login_is_replaced_in_all_clones_and_another_server_is_refused() {
    let url = parsed("rediss://gate:old@redis.example:7000/3");
    let clone = url.clone();
    let replace = |text: &str| url.replace_credentials(&Secret::new(text));
    assert_eq!(replace("rediss://door:new@redis.example:7000/3"), Ok(()));
    let new = (Some("door".to_owned()), Some("new".to_owned()));
    assert_eq!(login(&clone), new);
    for other in [
        "redis://door:thief@redis.example:7000/3",
        "rediss://door:thief@evil.example:7000/3",
        "rediss://door:thief@redis.example:7001/3",
        "rediss://door:thief@redis.example:7000/4",
    ] {
        assert_eq!(replace(other), Err(RedisUrlChange::OtherServer));
    }
    assert_eq!(
        replace("http://door:thief@redis.example"),
        Err(RedisUrlChange::Invalid(InvalidRedisUrl::Scheme))
    );
    assert_eq!(login(&clone), new);
    assert_eq!(replace("rediss://redis.example:7000/3"), Ok(()));
    assert_eq!(login(&clone), (None, None));
}

#[test]
fn logins_of_sentinels_are_replaced_and_other_sentinels_are_refused() {
    let url = parsed("redis-sentinel://:a@s1,s2/3?master=m&sentinel_password=b");
    let replace = |text: &str| url.replace_credentials(&Secret::new(text));
    assert_eq!(
        replace("redis-sentinel://:c@s1,s2/3?master=m&sentinel_password=d"),
        Ok(())
    );
    assert_eq!(login(&url).1.as_deref(), Some("c"));
    assert_eq!(sentinel_login(&url).1.as_deref(), Some("d"));
    for other in [
        "redis-sentinel://:c@s1,s3/3?master=m",
        "redis-sentinel://:c@s1/3?master=m",
        "redis-sentinel://:c@s1,s2/3?master=n",
        "redis://:c@s1:26379/3",
    ] {
        assert_eq!(replace(other), Err(RedisUrlChange::OtherServer), "{other}");
    }
}

#[test]
fn invalid_url_is_refused_in_one_line() {
    const SCHEMES: &str = "the URL begins with redis://, rediss://, redis-sentinel://, rediss-sentinel://, redis-cluster:// or rediss-cluster://";
    const QUERY: &str = "the query of the URL of sentinels has master, sentinel_user and sentinel_password alone";
    for (text, line) in [
        ("redis-cluster://:hunter2@a:1,b:2/1", "a cluster has database 0 alone"),
        ("redis-cluster://:hunter2@a:1,", "the URL names no host"),
        (
            "rediss-cluster://:hunter2@a:1?hunter2=1",
            "the URL has no query and no fragment",
        ),
        (
            "redis-sentinel://:hunter2@a:1",
            "the URL of sentinels names the primary: ?master=<name>",
        ),
        ("redis-sentinel://:hunter2@a:1?master=m&hunter2=1", QUERY),
        ("redis-sentinel://:hunter2@a:1,?master=m", "the URL names no host"),
        ("redis-sentinel://:hunter2@a:1,b:x?master=m", "invalid port number"),
        ("redis://:hunter2@a:1,b:2", "invalid port number"),
        ("http://:hunter2@a:1", SCHEMES),
        (
            "redis://:hunter2@a/hunter2",
            "the URL's path is a database number, 0 to 255",
        ),
        (
            "redis://:hunter2@a/256",
            "the URL's path is a database number, 0 to 255",
        ),
        ("redis://:hunter2@a?hunter2=1", "the URL has no query and no fragment"),
        ("redis:hunter2", "the URL names no host"),
        ("hunter2", "relative URL without a base"),
    ] {
        let error = text.parse::<RedisUrl>().unwrap_err();
        assert_eq!(error.to_string(), line, "{text}");
    }
}
