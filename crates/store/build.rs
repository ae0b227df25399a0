//! Lists the files of `migrations/` by version, as `migrate.rs` includes them: a new migration is a new file and nothing else.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=migrations");
    let mut migrations = BTreeMap::new();
    // Cargo runs build scripts in the package's folder.
    for entry in std::fs::read_dir("migrations")? {
        let name = entry?
            .file_name()
            .into_string()
            .map_err(|name| format!("migrations/{} is not UTF-8", name.display()))?;
        let version = version(&name).ok_or_else(|| format!("migrations/{name} is not named V<version>__<name>.sql"))?;
        if let Some(other) = migrations.insert(version, name.clone()) {
            return Err(format!("migrations/{other} and migrations/{name} have the same version").into());
        }
    }
    std::fs::write(out_dir()?.join("migrations.rs"), list(migrations.values())?)?;
    Ok(())
}

/// Version in the name of a migration's file.
fn version(name: &str) -> Option<u32> {
    let (version, name) = name.strip_prefix('V')?.strip_suffix(".sql")?.split_once("__")?;
    let is_valid = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    is_valid.then(|| version.parse().ok()).flatten()
}

/// Rust expression of pairs of name and SQL.
fn list<'a>(files: impl Iterator<Item = &'a String>) -> Result<String, std::fmt::Error> {
    let mut list = String::from("&[\n");
    for file in files {
        let name = file.trim_end_matches(".sql");
        writeln!(
            list,
            r#"    ("{name}", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/{file}"))),"#
        )?;
    }
    list.push(']');
    Ok(list)
}

#[expect(
    clippy::disallowed_methods,
    reason = "cargo names a build script's folder in the environment alone"
)]
fn out_dir() -> Result<PathBuf, std::env::VarError> {
    std::env::var("OUT_DIR").map(PathBuf::from)
}
