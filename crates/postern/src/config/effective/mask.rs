//! Values as they may be printed: without secrets, each on one line.

use std::path::Path;

use url::Url;

use crate::config::{PathArg, SecretArg, path};

/// Mark in place of a secret.
const MASK: &str = "***";

/// A secret: of a URL, all but user and password; of any other, nothing.
pub(super) fn secret(variable: &str, secret: &SecretArg) -> String {
    let is_url = variable.trim_end_matches("_FILE").ends_with("_URL");
    match secret.secret() {
        Ok(secret) if is_url => url(secret.expose()).unwrap_or_else(|| MASK.to_owned()),
        _ => MASK.to_owned(),
    }
}

/// A path, unless the text is the content of the file by mistake.
pub(super) fn path(path: &PathArg) -> String {
    path.path()
        .map_or_else(|_not_a_path| MASK.to_owned(), |path| plain(&path.to_string_lossy()))
}

/// The path of a secret's file, unless the text is the secret by mistake.
pub(super) fn file(file: &Path) -> String {
    match path::check_absolute(file.as_os_str()) {
        Ok(()) => plain(&file.to_string_lossy()),
        Err(_) => MASK.to_owned(),
    }
}

/// A value that is no secret, without the credentials of the URLs in it.
pub(super) fn plain(text: &str) -> String {
    if text.contains("-----BEGIN") {
        return MASK.to_owned();
    }
    // Where a password may have a comma, a list has one too: all up to the last `@` is left out.
    let masked = text.split_once("://").and_then(|(scheme, rest)| {
        let (_credentials, rest) = rest.rsplit_once('@')?;
        Some(format!("{scheme}://{MASK}@{rest}"))
    });
    let line = masked.as_deref().unwrap_or(text).escape_debug().to_string();
    line.replace("\\\"", "\"").replace("\\'", "'")
}

/// A URL with masked credentials and parameters; none if a part of it may belong to the credentials.
fn url(text: &str) -> Option<String> {
    let mut url = Url::parse(text).ok()?;
    let is_clear = url.has_host() && url.fragment().is_none() && !url.path().contains('@');
    if !is_clear || url.query().is_some_and(|query| query.contains('@')) {
        return None;
    }
    // A password without a user's name is written in either place.
    if url.password().is_some() {
        url.set_password(Some(MASK)).ok()?;
    } else if !url.username().is_empty() {
        url.set_username(MASK).ok()?;
    }
    if url.query().is_some() {
        let pairs: Vec<_> = url
            .query_pairs()
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        let shown = |key: &str| matches!(key, "sslmode" | "sslrootcert");
        let pairs = pairs
            .iter()
            .map(|(key, value)| format!("{key}={}", if shown(key) { value.as_str() } else { MASK }));
        let query = pairs.collect::<Vec<_>>().join("&");
        url.set_query(Some(&query));
    }
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn masked(variable: &str, text: &str) -> String {
        secret(variable, &SecretArg::from(OsString::from(text)))
    }

    #[test]
    fn url_is_printed_without_its_credentials() {
        for (text, printed) in [
            ("redis://redis:6379", "redis://redis:6379"),
            (
                "rediss://postern:s3cret@redis:6379/1",
                "rediss://postern:***@redis:6379/1",
            ),
            ("redis://:s3cret@redis", "redis://:***@redis"),
            ("redis://s3cret@redis", "redis://***@redis"),
            (
                "postgres://u:s3cret@db/postern?sslmode=verify-full&password=s3cret",
                "postgres://u:***@db/postern?sslmode=verify-full&password=***",
            ),
            ("postgres://u:s3cret@one,two/d", "postgres://u:***@one,two/d"),
            ("postgres://u:s3cret@one:1,two:2/d", "***"),
            ("postgres://u:s3/cret@db/d", "***"),
            ("postgres://u:s3?cret@db/d", "***"),
            ("redis://s3#cret@redis", "***"),
            ("s3cret", "***"),
        ] {
            assert_eq!(masked("POSTERN_X_URL", text), printed, "{text}");
            assert_eq!(masked("POSTERN_X_URL_FILE", text), printed, "{text}");
            assert_eq!(masked("POSTERN_X_SECRET", text), "***");
        }
    }

    #[test]
    fn value_is_one_line_without_credentials_and_keys() {
        for (text, printed) in [
            (
                "https://a.example,https://*.b.example",
                "https://a.example,https://*.b.example",
            ),
            ("github=https://u:s3,cret@a.example/@x,s", "github=https://***@x,s"),
            ("Postern <postern@example.com>", "Postern <postern@example.com>"),
            ("O'Neill \"x\"", "O'Neill \"x\""),
            ("info\nPOSTERN_X=1", "info\\nPOSTERN_X=1"),
            ("-----BEGIN PRIVATE KEY-----\ns3cret", "***"),
        ] {
            assert_eq!(plain(text), printed);
        }
        assert_eq!(path(&PathArg::from(OsString::from("-----BEGIN X-----\ns3cret"))), "***");
        assert_eq!(file(Path::new("s3cret")), "***");
        assert_eq!(file(Path::new("/run/secrets/x")), "/run/secrets/x");
    }
}
