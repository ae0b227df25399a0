//! What must hold at every commit and no lint can see. Each rule is a file and reads only the [`Tree`] it is given.

mod arrows;
mod cycles;
mod docs;
mod files;
mod finding;
mod inherited;
mod leftovers;
mod named;
mod patience;
mod security_tests;
mod terms;
mod token;
mod tree;

use cargo_metadata::Metadata;

use self::finding::Finding;
use self::tree::Tree;

/// Everything that is not as it should be, in the order of path and line.
pub(crate) fn findings(metadata: &Metadata) -> std::io::Result<Vec<Finding>> {
    let tree = Tree::read(metadata.workspace_root.as_std_path())?;
    let members = arrows::members(metadata);
    let mut findings = [
        arrows::check(&tree, &members),
        cycles::check(&tree),
        docs::check(&tree),
        files::check(&tree),
        inherited::check(&tree, &members),
        leftovers::check(&tree),
        named::check(&tree),
        patience::check(&tree),
        security_tests::check(&tree),
        terms::check(&tree),
    ]
    .concat();
    findings.sort();
    Ok(findings)
}
