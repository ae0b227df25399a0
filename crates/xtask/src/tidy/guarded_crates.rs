//! Crates that one module alone may name, so that their pitfalls are handled once.

use super::finding::Finding;
use super::token::Kind;
use super::tree::Tree;

/// Reports uses of a guarded crate outside its modules.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, tokens) in tree.rust() {
        for token in tokens {
            let Kind::Word(word) = &token.kind else { continue };
            let Some(guarded) = GUARDED.iter().find(|guarded| guarded.name == word) else {
                continue;
            };
            if !guarded.may_stand_in(&file.path) {
                let what = format!("`{word}` is named here");
                findings.push(Finding::new(&file.path, token.line, what, guarded.to_do));
            }
        }
    }
    findings
}

/// A crate and the modules that may name it.
struct Guarded {
    name: &'static str,
    /// Modules with all below them: `a/b` is `a/b.rs` and `a/b/`. A name without a slash is that file anywhere.
    homes: &'static [&'static str],
    to_do: &'static str,
}

impl Guarded {
    fn may_stand_in(&self, path: &str) -> bool {
        self.homes.iter().any(|home| {
            if home.contains('/') {
                path.strip_prefix(home).is_some_and(|rest| rest.starts_with(['.', '/']))
            } else {
                path.ends_with(&format!("/{home}"))
            }
        })
    }
}

const GUARDED: &[Guarded] = &[
    Guarded {
        name: "fred",
        homes: &["crates/bus/src/redis/client"],
        to_do: "use bus's `redis::client`, which overrides fred's dangerous defaults",
    },
    Guarded {
        name: "tokio_postgres",
        homes: &[
            "crates/store/src/postgres",
            "crates/testkit/src",
            "crates/testkit/tests",
        ],
        to_do: "use one of store's traits",
    },
    Guarded {
        name: "deadpool_postgres",
        homes: &["crates/store/src/postgres"],
        to_do: "use one of store's traits",
    },
    Guarded {
        name: "reqwest",
        homes: &[
            "crates/platforms/src/http",
            "crates/jwks/src/client",
            "crates/worker/src/app_webhook/client",
            "crates/worker/src/factor/sms",
            "crates/worker/src/http_client",
            "crates/postern/src/publish",
            "crates/telemetry/src/export",
        ],
        to_do: "use a client built with timeout, size bound and no redirects",
    },
    Guarded {
        name: "anyhow",
        homes: &["main.rs", "crates/xtask/src", "loadtest/src"],
        to_do: "give the operation an error enum of its own",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn found<const N: usize>(files: [(&str, &str); N]) -> Vec<(String, usize)> {
        check(&Tree::of(files))
            .into_iter()
            .map(|finding| (finding.path, finding.line))
            .collect()
    }

    #[test]
    fn a_guarded_crate_is_found_outside_its_module() {
        let uses = "//! Head.\nuse fred::prelude::Client;\n";
        assert_eq!(
            found([("crates/bus/src/redis/events.rs", uses)]),
            [("crates/bus/src/redis/events.rs".to_owned(), 2)]
        );
        assert_eq!(found([("crates/bus/src/redis/clients.rs", uses)]).len(), 1);
        assert_eq!(found([("crates/bus/tests/it/main.rs", uses)]).len(), 1);
    }

    #[test]
    fn guarded_crate_is_allowed_in_its_module_and_in_comments() {
        let uses = "//! Head.\nuse fred::prelude::Client;\n";
        assert!(
            found([
                ("crates/bus/src/redis/client.rs", uses),
                ("crates/bus/src/redis/client/pool.rs", uses)
            ])
            .is_empty()
        );
        assert!(found([("crates/bus/src/lib.rs", "//! fred is elsewhere.\n// as fred says\n")]).is_empty());
    }

    #[test]
    fn anyhow_is_for_mains_and_tools() {
        let uses = "//! Head.\nuse anyhow::Context;\n";
        assert!(found([("crates/postern/src/main.rs", uses), ("crates/xtask/src/tidy.rs", uses)]).is_empty());
        assert_eq!(found([("crates/postern/src/lib.rs", uses)]).len(), 1);
    }
}
