//! Dependencies between crates: those that docs/architecture.md allows.

mod allowed;

use cargo_metadata::{DependencyKind, Metadata};

use super::finding::Finding;
use super::tree::Tree;

pub(super) use self::allowed::ALLOWED;

/// A crate of the workspace.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    /// Path of its `Cargo.toml`, relative to the workspace root.
    pub(super) manifest: String,
    /// All dependencies, of the workspace or not.
    pub(super) needs: Vec<Need>,
}

/// A dependency of a crate.
#[derive(Debug)]
pub(super) struct Need {
    pub(super) name: String,
    pub(super) in_tests_only: bool,
}

/// Crates of the workspace, from Cargo's metadata.
pub(super) fn members(metadata: &Metadata) -> Vec<Member> {
    let root = &metadata.workspace_root;
    let member = |package: &cargo_metadata::Package| Member {
        name: package.name.to_string(),
        manifest: package
            .manifest_path
            .strip_prefix(root)
            .unwrap_or(&package.manifest_path)
            .to_string(),
        needs: package
            .dependencies
            .iter()
            .map(|dependency| Need {
                name: dependency.name.clone(),
                in_tests_only: dependency.kind == DependencyKind::Development,
            })
            .collect(),
    };
    metadata.workspace_packages().into_iter().map(member).collect()
}

/// Reports dependencies between members that [`ALLOWED`] does not have.
pub(super) fn check(tree: &Tree, members: &[Member]) -> Vec<Finding> {
    let ours = |name: &str| members.iter().any(|member| member.name == name);
    let mut findings = Vec::new();
    for member in members {
        let Some(rule) = ALLOWED.iter().find(|rule| rule.name == member.name) else {
            let what = format!("`{}` has no rule in the architecture", member.name);
            findings.push(Finding::new(
                &member.manifest,
                1,
                what,
                "give it a row in xtask's `tidy/crate_dependencies/allowed.rs`",
            ));
            continue;
        };
        for need in member.needs.iter().filter(|need| ours(&need.name)) {
            let (allowed, kind) = if need.in_tests_only {
                (
                    rule.may_depend_on(&need.name) || rule.in_tests.contains(&need.name.as_str()),
                    "tests of ",
                )
            } else {
                (rule.may_depend_on(&need.name), "")
            };
            if !allowed {
                let what = format!("{kind}`{}` must not depend on `{}`", member.name, need.name);
                let line = line_of(tree, &member.manifest, &need.name);
                findings.push(Finding::new(
                    &member.manifest,
                    line,
                    what,
                    "invert the dependency or drop it",
                ));
            }
        }
    }
    findings
}

fn line_of(tree: &Tree, manifest: &str, dependency: &str) -> usize {
    let names_it = |line: &str| {
        line.strip_prefix(dependency)
            .is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
    };
    let text = tree.file(manifest).map_or("", |file| &file.text);
    text.lines().position(names_it).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, needs: &[(&str, bool)]) -> Member {
        let need = |&(name, in_tests_only): &(&str, bool)| Need {
            name: name.to_owned(),
            in_tests_only,
        };
        Member {
            name: name.to_owned(),
            manifest: format!("crates/{name}/Cargo.toml"),
            needs: needs.iter().map(need).collect(),
        }
    }

    fn messages(members: &[Member]) -> Vec<String> {
        let tree = Tree::of([(
            "crates/gateway/Cargo.toml",
            "[dependencies]\nbus.workspace = true\nstore.workspace = true\n",
        )]);
        check(&tree, members).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn dependency_without_rule_is_reported_at_its_line() {
        let members = [
            member("gateway", &[("bus", false), ("store", false), ("tokio", false)]),
            member("bus", &[]),
            member("store", &[]),
        ];
        assert_eq!(
            messages(&members),
            ["crates/gateway/Cargo.toml:3: `gateway` must not depend on `store`: invert the dependency or drop it"]
        );
    }

    #[test]
    fn test_dependency_is_refused_outside_tests() {
        let with = |in_tests_only| [member("bus", &[("testkit", in_tests_only)]), member("testkit", &[])];
        assert!(messages(&with(true)).is_empty());
        assert_eq!(messages(&with(false)).len(), 1);
    }

    #[test]
    fn new_crate_without_rule_is_reported() {
        assert_eq!(messages(&[member("utils", &[])]).len(), 1);
    }

    #[test]
    fn rules_name_only_known_crates() {
        let known = |name: &&str| ALLOWED.iter().any(|rule| rule.name == *name);
        for rule in ALLOWED {
            assert!(rule.depends_on.iter().all(known), "{rule:?}");
            assert!(rule.in_tests.iter().all(known), "{rule:?}");
        }
    }
}
