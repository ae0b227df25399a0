//! Directory of `postern dev`.

use std::path::{PathBuf, absolute};

use crate::cli::DirArgs;
use crate::config;

/// Resolves the directory: the given one, else `$XDG_RUNTIME_DIR/postern`, else `postern-<uid>` in the temporary directory. The path is
/// absolute, so that a printed command works in any folder.
#[must_use]
pub(crate) fn resolve(args: &DirArgs) -> PathBuf {
    let dir = args
        .dir
        .clone()
        .or_else(|| config::runtime_dir().map(|dir| dir.join("postern")))
        .unwrap_or_else(|| {
            let uid = nix::unistd::Uid::effective();
            std::env::temp_dir().join(format!("postern-{uid}"))
        });
    // An empty path, or no current directory: the operation on the directory reports it.
    absolute(&dir).unwrap_or(dir)
}
