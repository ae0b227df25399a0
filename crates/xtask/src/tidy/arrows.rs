//! The arrows of docs/architecture.md: which room may know which.

mod allowed;

use cargo_metadata::{DependencyKind, Metadata};

use super::finding::Finding;
use super::tree::Tree;

pub(super) use self::allowed::ALLOWED;

/// A crate of the workspace.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    /// The path of its `Cargo.toml`, relative to the workspace root.
    pub(super) manifest: String,
    /// All it depends on, ours or not.
    pub(super) needs: Vec<Need>,
}

/// A dependency of a crate.
#[derive(Debug)]
pub(super) struct Need {
    pub(super) name: String,
    pub(super) in_tests_only: bool,
}

/// The crates of the workspace, as Cargo sees them.
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

/// Every dependency of one member on another must stand in [`ALLOWED`].
pub(super) fn check(tree: &Tree, members: &[Member]) -> Vec<Finding> {
    let ours = |name: &str| members.iter().any(|member| member.name == name);
    let mut findings = Vec::new();
    for member in members {
        let Some(room) = ALLOWED.iter().find(|room| room.name == member.name) else {
            let what = format!("`{}` has no place in the architecture", member.name);
            findings.push(Finding::new(
                &member.manifest,
                1,
                what,
                "give it a row in xtask's `tidy/arrows/allowed.rs`",
            ));
            continue;
        };
        for need in member.needs.iter().filter(|need| ours(&need.name)) {
            let (allowed, kind) = if need.in_tests_only {
                (
                    room.may_know(&need.name) || room.in_tests.contains(&need.name.as_str()),
                    "tests of ",
                )
            } else {
                (room.may_know(&need.name), "")
            };
            if !allowed {
                let what = format!("{kind}`{}` must not know `{}`", member.name, need.name);
                let line = line_of(tree, &member.manifest, &need.name);
                findings.push(Finding::new(
                    &member.manifest,
                    line,
                    what,
                    "turn the dependency around or drop it",
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
    fn an_arrow_that_is_not_drawn_is_found_where_it_stands() {
        let members = [
            member("gateway", &[("bus", false), ("store", false), ("tokio", false)]),
            member("bus", &[]),
            member("store", &[]),
        ];
        assert_eq!(
            messages(&members),
            ["crates/gateway/Cargo.toml:3: `gateway` must not know `store`: turn the dependency around or drop it"]
        );
    }

    #[test]
    fn what_only_tests_may_know_is_refused_elsewhere() {
        let with = |in_tests_only| [member("bus", &[("testkit", in_tests_only)]), member("testkit", &[])];
        assert!(messages(&with(true)).is_empty());
        assert_eq!(messages(&with(false)).len(), 1);
    }

    #[test]
    fn a_new_crate_needs_a_place() {
        assert_eq!(messages(&[member("utils", &[])]).len(), 1);
    }

    #[test]
    fn the_table_names_only_rooms_it_has() {
        let known = |name: &&str| ALLOWED.iter().any(|room| room.name == *name);
        for room in ALLOWED {
            assert!(room.knows.iter().all(known), "{room:?}");
            assert!(room.in_tests.iter().all(known), "{room:?}");
        }
    }
}
