//! Rules that hold at every commit and that no lint can check. Each rule is a file and reads only the given [`Tree`].

mod crate_dependencies;
mod cycles;
mod docs;
mod files;
mod finding;
mod guarded_crates;
mod inherited_lints;
mod security_tests;
mod terms;
mod test_waits;
mod token;
mod tree;
mod undeclared_modules;
mod unfinished_notes;

use cargo_metadata::Metadata;

use self::finding::Finding;
use self::tree::Tree;

/// All findings, sorted by path and line.
pub(crate) fn findings(metadata: &Metadata) -> std::io::Result<Vec<Finding>> {
    let tree = Tree::read(metadata.workspace_root.as_std_path())?;
    let members = crate_dependencies::members(metadata);
    let mut findings = [
        crate_dependencies::check(&tree, &members),
        cycles::check(&tree),
        docs::check(&tree),
        files::check(&tree),
        inherited_lints::check(&tree, &members),
        undeclared_modules::check(&tree),
        unfinished_notes::check(&tree),
        guarded_crates::check(&tree),
        test_waits::check(&tree),
        security_tests::check(&tree),
        terms::check(&tree),
    ]
    .concat();
    findings.sort();
    Ok(findings)
}
