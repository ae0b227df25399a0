//! Settings of the environment and of files, as the commands take them.

use testkit::scratch::Scratch;

use crate::command_line::postern_with;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A file with this content; its path.
fn file(scratch: &Scratch, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = scratch.path().join(name);
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn secret_of_a_file_is_taken_and_a_flag_takes_precedence() {
    let scratch = Scratch::new("secrets");
    let path = file(&scratch, "secret", format!("{SECRET}\n"));
    let variables = [("POSTERN_JWT_HS256_SECRET_FILE", path)];
    let other = "fedcba9876543210fedcba9876543210";
    for (flag, secret) in [(&[][..], SECRET), (&["--jwt-hs256-secret", other], other)] {
        let args = [&["token", "--user", "GEN-001"], flag].concat();
        let signed = postern_with(&args, &variables).await;
        assert_eq!((signed.status, signed.stderr.as_str()), (0, ""));
        let key = jsonwebtoken::DecodingKey::from_secret(secret.as_bytes());
        let checks = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
        jsonwebtoken::decode::<serde_json::Value>(signed.stdout.trim(), &key, &checks).unwrap();
    }
}

#[tokio::test]
async fn wrong_files_are_reported_with_the_other_faults_and_never_quoted() {
    let scratch = Scratch::new("secrets");
    let missing = scratch.path().join("missing").display().to_string();
    let directory = scratch.path().display().to_string();
    let empty = file(&scratch, "empty", "\n");
    let large = file(&scratch, "large", "swordfish".repeat(10_000));
    let binary = file(&scratch, "binary", b"swordfish\xff");
    let variables = [
        ("POSTERN_DATABASE_URL_FILE", missing.clone()),
        ("POSTERN_REDIS_URL_FILE", directory.clone()),
        ("POSTERN_REDIS_LIMITS_URL_FILE", "redis://:swordfish@redis".to_owned()),
        ("POSTERN_VAULT_KEYS_FILE", empty.clone()),
        ("POSTERN_SMTP_URL_FILE", large.clone()),
        ("POSTERN_SMTP_FROM", "postern@example.com".to_owned()),
        ("POSTERN_GITHUB_WEBHOOK_SECRET_FILE", binary.clone()),
        ("POSTERN_TELEGRAM_BOT_TOKEN", "swordfish".to_owned()),
        ("POSTERN_TELEGRAM_BOT_TOKEN_FILE", empty.clone()),
        ("POSTERN_SESSION_TIMEOUT", "soon".to_owned()),
    ];
    let refused = postern_with(&["worker"], &variables).await;
    assert_eq!(refused.status, 1);
    let expected = [
        format!("POSTERN_DATABASE_URL_FILE cannot be read: {missing}: No such file"),
        format!("POSTERN_REDIS_URL_FILE cannot be read: {directory}: Is a directory"),
        "POSTERN_REDIS_LIMITS_URL_FILE is an absolute path, and another text was given".to_owned(),
        format!("POSTERN_VAULT_KEYS_FILE names an empty file: {empty}"),
        format!("POSTERN_SMTP_URL_FILE names a file of more than 65536 bytes: {large}"),
        format!("POSTERN_GITHUB_WEBHOOK_SECRET_FILE names a file that is not UTF-8: {binary}"),
        "POSTERN_TELEGRAM_BOT_TOKEN and POSTERN_TELEGRAM_BOT_TOKEN_FILE exclude each other".to_owned(),
        "POSTERN_SESSION_TIMEOUT is not a duration".to_owned(),
    ];
    for line in &expected {
        let found = refused.stderr.lines().filter(|found| found.contains(line)).count();
        assert_eq!(found, 1, "{line}:\n{}", refused.stderr);
    }
    assert_eq!(refused.stderr.lines().count(), expected.len(), "{}", refused.stderr);
    assert!(!refused.stderr.contains("swordfish"), "{}", refused.stderr);
}

#[tokio::test]
async fn pem_given_for_a_path_is_refused_without_quoting_it() {
    let pem = "-----BEGIN PRIVATE KEY-----\nswordfish\n-----END PRIVATE KEY-----\n";
    let variables =
        ["POSTERN_JWT_PUBLIC_KEY", "POSTERN_TLS_CERT", "POSTERN_TLS_KEY"].map(|name| (name, pem.to_owned()));
    for args in [&["gateway"][..], &["gateway", "--help"]] {
        let output = postern_with(args, &variables).await;
        let text = output.stdout + &output.stderr;
        assert!(!text.contains("swordfish") && !text.contains("BEGIN"), "{text}");
        if args.len() == 1 {
            for (name, _) in &variables {
                assert!(
                    text.contains(&format!("{name} is a path, and a PEM was given")),
                    "{text}"
                );
            }
        }
    }
}

#[tokio::test]
async fn unknown_variable_stops_the_commands_of_a_deployment_alone() {
    let variables = [
        ("POSTERN_REDIS_UR", "redis://:swordfish@redis".to_owned()),
        ("POSTERN_LOG", "info,=".to_owned()),
        ("POSTERN_POSTERN_GATEWAY_SERVICE_HOST", "10.0.0.1".to_owned()),
        ("POSTERN_PORT", "tcp://10.0.0.1:8443".to_owned()),
        ("POSTERN_DRAIN_WINDOW", "20s".to_owned()),
    ];
    for args in [
        &["gateway"][..],
        &["worker"],
        &["migrate"],
        &["vault", "rotate"],
        &["audit", "verify"],
        &["restore", "check"],
        &["factor", "unlock", "--user", "GEN-001"],
        &["config", "check", "worker"],
    ] {
        let refused = postern_with(args, &variables).await;
        assert_eq!(refused.status, 1, "{args:?}");
        let lines: Vec<_> = refused.stderr.lines().collect();
        assert_eq!(
            lines[0], "postern: POSTERN_REDIS_UR is not a variable of Postern; is POSTERN_REDIS_URL meant?",
            "{args:?}"
        );
        assert!(
            lines[1].starts_with("postern: POSTERN_LOG is not a log filter: "),
            "{args:?}: {}",
            refused.stderr
        );
        assert!(
            lines[2..].iter().all(|line| !line.contains("not a variable")),
            "{}",
            refused.stderr
        );
        assert!(!refused.stderr.contains("swordfish"), "{}", refused.stderr);
    }
    let secret = ["--jwt-hs256-secret", SECRET];
    for args in [
        &["--version"][..],
        &["gateway", "--help"],
        &[&["token", "--user", "GEN-001"][..], &secret].concat(),
    ] {
        let variables = &variables[..1];
        let output = postern_with(args, variables).await;
        assert_eq!((output.status, output.stderr.as_str()), (0, ""), "{args:?}");
    }
}

#[tokio::test]
async fn check_prints_every_value_with_its_source_and_no_secret() {
    let scratch = Scratch::new("check");
    let url = file(&scratch, "url", "redis://postern:swordfish@redis:6379/1\n");
    let variables = [
        ("POSTERN_REDIS_URL_FILE", url.clone()),
        ("POSTERN_JWT_HS256_SECRET", "swordfish".repeat(4)),
        ("POSTERN_INTERNAL_TOKEN", "swordfish".to_owned()),
        ("POSTERN_TLS_CERT", "/tls/cert.pem".to_owned()),
        ("POSTERN_TLS_KEY", "/tls/key.pem".to_owned()),
        ("POSTERN_DRAIN_WINDOW", "30s".to_owned()),
        ("POSTERN_VAULT_KEYS", "a worker's".to_owned()),
    ];
    let args = ["config", "check", "gateway", "--drain-delay", "15s"];
    let checked = postern_with(&args, &variables).await;
    assert_eq!((checked.status, checked.stderr.as_str()), (0, ""), "{}", checked.stdout);
    for line in [
        "## Redis",
        &format!("POSTERN_REDIS_URL=redis://postern:***@redis:6379/1  # file {url}"),
        "POSTERN_REDIS_PREFIX=pn  # default",
        "# POSTERN_REDIS_LIMITS_URL is not set",
        "POSTERN_JWT_HS256_SECRET=***  # environment",
        "POSTERN_INTERNAL_TOKEN=***  # environment",
        "POSTERN_TLS_KEY=/tls/key.pem  # environment",
        "POSTERN_DRAIN_WINDOW=30s  # environment",
        "POSTERN_DRAIN_DELAY=15s  # flag",
        "POSTERN_LOG=info  # default",
    ] {
        let found = checked.stdout.lines().filter(|found| *found == line).count();
        assert_eq!(found, 1, "{line}:\n{}", checked.stdout);
    }
    assert!(!checked.stdout.contains("swordfish"), "{}", checked.stdout);
    assert!(!checked.stdout.contains("VAULT"), "{}", checked.stdout);

    let checked = postern_with(&[&args[..], &["--json"]].concat(), &variables).await;
    assert_eq!((checked.status, checked.stderr.as_str()), (0, ""));
    let json: serde_json::Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(json["faults"], serde_json::json!([]));
    let expected = serde_json::json!({
        "variable": "POSTERN_REDIS_URL", "value": "redis://postern:***@redis:6379/1", "source": "file", "file": url
    });
    assert!(json["settings"].as_array().unwrap().contains(&expected), "{json}");
    assert!(!checked.stdout.contains("swordfish"), "{}", checked.stdout);
}

#[tokio::test]
async fn check_reports_every_fault_and_quotes_no_key() {
    let pem = "-----BEGIN PRIVATE KEY-----\nswordfish\n-----END PRIVATE KEY-----\n";
    let variables = [
        ("POSTERN_TLS_KEY", pem.to_owned()),
        ("POSTERN_LISTEN", pem.to_owned()),
        ("POSTERN_VAULT_KEY", pem.to_owned()),
        ("POSTERN_JWT_HS256_SECRET_FILE", pem.to_owned()),
        ("POSTERN_DEFLATE_THRESHOLD", "1e+06".to_owned()),
    ];
    let faults = [
        "POSTERN_VAULT_KEY is not a variable of Postern; is POSTERN_VAULT_KEYS meant?",
        "POSTERN_TLS_KEY is a path, and a PEM was given: mount it as a file",
        "POSTERN_LISTEN is not an address: `0.0.0.0:8443`, `[::]:8443`",
        "POSTERN_JWT_HS256_SECRET_FILE is a path, and a PEM was given: mount it as a file",
        "POSTERN_DEFLATE_THRESHOLD is `1e+06`, a whole number that was rendered as a float: put it in quotes where it is written",
        "POSTERN_TLS_CERT is required: a PEM file, as clients connect by WSS only",
    ];
    let checked = postern_with(&["config", "check", "gateway"], &variables).await;
    assert_eq!(checked.status, 1);
    let mut lines: Vec<_> = checked
        .stderr
        .lines()
        .map(|line| line.trim_start_matches("postern: "))
        .collect();
    lines.sort_unstable();
    let mut expected = faults.to_vec();
    expected.sort_unstable();
    assert_eq!(lines, expected);
    assert!(
        checked.stdout.contains("POSTERN_TLS_KEY=***  # environment"),
        "{}",
        checked.stdout
    );

    let json = postern_with(&["config", "check", "--json", "gateway"], &variables).await;
    assert_eq!((json.status, json.stderr.as_str()), (1, ""));
    let found: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let mut found: Vec<_> = found["faults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault.as_str().unwrap())
        .collect();
    found.sort_unstable();
    assert_eq!(found, expected);
    for text in [checked.stdout, checked.stderr, json.stdout] {
        assert!(!text.contains("swordfish") && !text.contains("BEGIN"), "{text}");
    }
}

#[tokio::test]
async fn every_secret_of_a_worker_may_be_in_a_file() {
    let scratch = Scratch::new("secrets");
    // RFC 8032, section 7.1.
    let key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let vault = format!("k1:{}", data_encoding::BASE64.encode(&[7; 32]));
    let secrets = [
        ("POSTERN_REDIS_URL", "redis://redis"),
        ("POSTERN_REDIS_LIMITS_URL", "redis://limits"),
        ("POSTERN_DATABASE_URL", "postgres://postern@db/postern?sslmode=disable"),
        ("POSTERN_VAULT_KEYS", &vault),
        ("POSTERN_GITHUB_CLIENT_SECRET", SECRET),
        ("POSTERN_DISCORD_CLIENT_SECRET", SECRET),
        ("POSTERN_X_TWITTER_CLIENT_SECRET", SECRET),
        ("POSTERN_TELEGRAM_CLIENT_SECRET", SECRET),
        ("POSTERN_DISCORD_BOT_TOKEN", SECRET),
        ("POSTERN_TELEGRAM_BOT_TOKEN", SECRET),
        ("POSTERN_GITHUB_WEBHOOK_SECRET", SECRET),
        ("POSTERN_X_TWITTER_WEBHOOK_SECRET", SECRET),
        ("POSTERN_DISCORD_WEBHOOK_SECRET", key),
        ("POSTERN_TELEGRAM_WEBHOOK_SECRET", SECRET),
        ("POSTERN_SMTP_URL", "smtps://postern:swordfish@mail.example"),
        ("POSTERN_SMS_TOKEN", SECRET),
        (
            "POSTERN_APP_WEBHOOK_SECRETS",
            "whsec_c3dvcmRmaXNoc3dvcmRmaXNoc3dvcmRmaXNo",
        ),
    ];
    let files = secrets.map(|(name, secret)| (format!("{name}_FILE"), file(&scratch, name, format!("{secret}\n"))));
    let ids =
        ["GITHUB", "DISCORD", "X_TWITTER", "TELEGRAM"].map(|of| (format!("POSTERN_{of}_CLIENT_ID"), "42".to_owned()));
    let mut variables: Vec<_> = files
        .iter()
        .chain(&ids)
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    for (name, value) in [
        ("POSTERN_SMTP_FROM", "postern@example.com"),
        ("POSTERN_SMS_URL", "https://sms.example"),
        ("POSTERN_SMS_ACCOUNT", "AC1"),
        ("POSTERN_SMS_FROM", "+15550100"),
        ("POSTERN_APP_WEBHOOK_URL", "https://app.example/hooks"),
    ] {
        variables.push((name, value.to_owned()));
    }
    let checked = postern_with(&["config", "check", "worker"], &variables).await;
    assert_eq!((checked.status, checked.stderr.as_str()), (0, ""), "{}", checked.stdout);
    for (name, _) in &secrets {
        let from_file = |line: &str| line.starts_with(&format!("{name}=")) && line.contains("  # file ");
        assert!(checked.stdout.lines().any(from_file), "{name}:\n{}", checked.stdout);
    }
    assert!(
        ![SECRET, "swordfish", "c3dvcmRm"]
            .iter()
            .any(|secret| checked.stdout.contains(secret))
    );
}
