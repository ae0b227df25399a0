//! TLS of the Redis settings: each invalid combination is refused by its variable.

use clap::Parser as _;
use testkit::scratch::Scratch;
use testkit::tls::Authority;

use super::*;

#[derive(clap::Parser)]
struct TestCli {
    #[command(flatten)]
    args: RedisArgs,
}

fn parse(args: &[&str]) -> Result<(RedisSettings, RedisFiles), ConfigError> {
    let args = std::iter::once(&"gateway").chain(args);
    let mut problems = Problems::default();
    let checked = TestCli::parse_from(args).args.check_with_files(&mut problems);
    problems.finish(checked)
}

#[test]
fn files_of_tls_are_read_and_watched() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue_files("node");
    let [ca, certificate, key] = [authority.pem_path(), &certificate, &key].map(|path| path.to_str().unwrap());
    let all = ["--redis-ca", ca, "--redis-cert", certificate, "--redis-key", key];
    for urls in [
        &["--redis-url", "rediss://a"][..],
        &["--redis-url", "redis://a", "--redis-limits-url", "rediss://b"],
    ] {
        let (_, files) = parse(&[urls, &all].concat()).unwrap();
        assert!(files.authorities.is_some() && files.identity.is_some());
    }
    let (_, files) = parse(&["--redis-url", "rediss://a"]).unwrap();
    assert!(files.authorities.is_none() && files.identity.is_none());
}

#[test]
fn invalid_tls_is_refused_by_its_variable() {
    let (authority, scratch) = (Authority::new(), Scratch::new("redis-settings"));
    let ((certificate, key), (_, other_key)) = (authority.issue_files("node"), authority.issue_files("other"));
    let text = scratch.write("text.pem", "hunter2");
    let [ca, certificate, key, other_key, text] =
        [authority.pem_path(), &certificate, &key, &other_key, &text].map(|path| path.to_str().unwrap());
    let tls = ["--redis-url", "rediss://a"];
    for (args, line) in [
        (
            &["--redis-url", "redis://a", "--redis-ca", ca][..],
            "POSTERN_REDIS_CA is for rediss://, which POSTERN_REDIS_URL does not begin with",
        ),
        (
            &["--redis-cert", certificate, "--redis-key", key],
            "POSTERN_REDIS_CERT is for rediss://, which POSTERN_REDIS_URL does not begin with",
        ),
        (
            &[&tls[..], &["--redis-cert", certificate]].concat(),
            "POSTERN_REDIS_KEY is required with POSTERN_REDIS_CERT: a PEM file",
        ),
        (
            &[&tls[..], &["--redis-key", key]].concat(),
            "POSTERN_REDIS_CERT is required with POSTERN_REDIS_KEY: a PEM file",
        ),
        (
            &[&tls[..], &["--redis-ca", text]].concat(),
            "POSTERN_REDIS_CA has no certificate",
        ),
        (
            &[&tls[..], &["--redis-cert", text, "--redis-key", key]].concat(),
            "POSTERN_REDIS_CERT has no certificate",
        ),
        (
            &[&tls[..], &["--redis-cert", certificate, "--redis-key", text]].concat(),
            "POSTERN_REDIS_KEY has no usable private key: ",
        ),
        (
            &[&tls[..], &["--redis-cert", certificate, "--redis-key", other_key]].concat(),
            "POSTERN_REDIS_CERT cannot be used with its key: ",
        ),
        (
            &[&tls[..], &["--redis-ca", "/nowhere/ca.pem"]].concat(),
            "POSTERN_REDIS_CA cannot be read: /nowhere/ca.pem: ",
        ),
    ] {
        let refused = parse(args).unwrap_err().to_string();
        assert!(
            refused.starts_with(line) && !refused.contains("hunter2"),
            "{args:?}: {refused}"
        );
    }
}
