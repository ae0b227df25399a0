//! Default directory of `postern dev`.

use std::path::PathBuf;

use crate::cli::DirArgs;
use crate::config;

/// Resolves the directory: the given one, else `$XDG_RUNTIME_DIR/postern`, else `postern-<uid>` in the temporary directory.
#[must_use]
pub(crate) fn resolve(args: &DirArgs) -> PathBuf {
    args.dir
        .clone()
        .or_else(|| config::runtime_dir().map(|dir| dir.join("postern")))
        .unwrap_or_else(|| {
            let uid = nix::unistd::Uid::effective();
            std::env::temp_dir().join(format!("postern-{uid}"))
        })
}
