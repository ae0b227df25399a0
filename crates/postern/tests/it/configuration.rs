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
