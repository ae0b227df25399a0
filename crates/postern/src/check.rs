//! `postern config check`: effective settings of a node and all their faults, found without a connection.

use std::process::ExitCode;

use crate::cli::{CheckArgs, CheckedNode};
use crate::config::{ConfigError, EffectiveSettings, Problems};

/// Output of the check, and its result: with `--json` the faults are part of the output.
///
/// # Errors
/// Serialization failed.
pub(crate) fn check(
    args: &CheckArgs,
    mut settings: EffectiveSettings,
    problems: Problems,
) -> Result<(String, Result<ExitCode, ConfigError>), serde_json::Error> {
    let checked = match &args.node {
        CheckedNode::Gateway(args) => args.settings(problems).map(|_settings| ()),
        CheckedNode::Worker(args) => args.settings(problems).map(|_settings| ()),
    };
    if !args.json {
        return Ok((
            settings.to_string().trim_end().to_owned(),
            checked.map(|()| ExitCode::SUCCESS),
        ));
    }
    let code = match &checked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            settings.report(error);
            ExitCode::FAILURE
        }
    };
    Ok((serde_json::to_string(&settings)?, Ok(code)))
}
