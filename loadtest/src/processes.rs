//! CPU time and resident memory of given processes, by role.

mod proc_table;
mod sampler;

use std::str::FromStr;

use anyhow::{Context, bail};

pub(crate) use self::sampler::Sampler;

/// Process that is sampled, with all its children, under the name of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoleProcess {
    /// Role, such as `gateway`. Processes of one role are summed up.
    pub(crate) role: String,
    /// Process id.
    pub(crate) pid: u32,
}

impl RoleProcess {
    /// The load tester itself, in the role `loadtest`.
    pub(crate) fn this() -> Self {
        Self {
            role: "loadtest".to_owned(),
            pid: std::process::id(),
        }
    }
}

impl FromStr for RoleProcess {
    type Err = anyhow::Error;

    /// Parses `role=PID`.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (role, pid) = text
            .split_once('=')
            .context("give a role and a process id: gateway=4711")?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if role.is_empty() || !role.chars().all(is_plain) {
            bail!("the role {role:?} is not of letters, digits, _ and -");
        }
        Ok(Self {
            role: role.to_owned(),
            pid: pid
                .trim()
                .parse()
                .with_context(|| format!("read the process id {pid:?}"))?,
        })
    }
}
