//! Arguments of the collectors: nine options, each for all signals and for each of the three.

use std::collections::BTreeMap;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, value_parser};

use super::DEFAULT_TIMEOUT;
use crate::config::{NotAPath, PathArg, SecretArg, heading};

/// Exported kind of telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// Name in the path of an endpoint.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    /// Variable that selects the exporter.
    pub(in crate::config) fn exporter(self) -> &'static str {
        match self {
            Self::Traces => "OTEL_TRACES_EXPORTER",
            Self::Metrics => "OTEL_METRICS_EXPORTER",
            Self::Logs => "OTEL_LOGS_EXPORTER",
        }
    }
}

/// Option of a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OtlpOption {
    Endpoint,
    Protocol,
    Headers,
    Timeout,
    Compression,
    Insecure,
    Certificate,
    ClientCertificate,
    ClientKey,
}

macro_rules! variables {
    ($option:literal) => {
        [
            concat!("OTEL_EXPORTER_OTLP_", $option),
            concat!("OTEL_EXPORTER_OTLP_TRACES_", $option),
            concat!("OTEL_EXPORTER_OTLP_METRICS_", $option),
            concat!("OTEL_EXPORTER_OTLP_LOGS_", $option),
        ]
    };
}

impl OtlpOption {
    const ALL: [Self; 9] = [
        Self::Endpoint,
        Self::Protocol,
        Self::Headers,
        Self::Timeout,
        Self::Compression,
        Self::Insecure,
        Self::Certificate,
        Self::ClientCertificate,
        Self::ClientKey,
    ];

    /// Variables for all signals, for traces, for metrics and for logs.
    fn variables(self) -> [&'static str; 4] {
        match self {
            Self::Endpoint => variables!("ENDPOINT"),
            Self::Protocol => variables!("PROTOCOL"),
            Self::Headers => variables!("HEADERS"),
            Self::Timeout => variables!("TIMEOUT"),
            Self::Compression => variables!("COMPRESSION"),
            Self::Insecure => variables!("INSECURE"),
            Self::Certificate => variables!("CERTIFICATE"),
            Self::ClientCertificate => variables!("CLIENT_CERTIFICATE"),
            Self::ClientKey => variables!("CLIENT_KEY"),
        }
    }

    /// Variable for all signals.
    pub(super) fn of_all(self) -> &'static str {
        let [of_all, ..] = self.variables();
        of_all
    }

    fn of(self, signal: Signal) -> &'static str {
        let [_, traces, metrics, logs] = self.variables();
        match signal {
            Signal::Traces => traces,
            Signal::Metrics => metrics,
            Signal::Logs => logs,
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Endpoint => {
                "Collector: `http://127.0.0.1:4318`, or for gRPC `http://127.0.0.1:4317`. That of one signal is complete; to this one \
                 HTTP appends `/v1/traces`, `/v1/metrics` or `/v1/logs`"
            }
            Self::Protocol => "Protocol: `http/protobuf` or `grpc`",
            Self::Headers => "Headers of each request: `authorization=Bearer%20token`",
            Self::Timeout => "Time limit for a request with its retries, in milliseconds",
            Self::Compression => "Compression: `gzip` or `none`",
            Self::Insecure => "`true`: no TLS for a gRPC endpoint without a scheme",
            Self::Certificate => "PEM file of the authorities of the collector; default: those of the system",
            Self::ClientCertificate => "PEM file of the client certificate for the collector",
            Self::ClientKey => "PEM file of the key of the client certificate",
        }
    }

    fn default(self) -> Option<&'static str> {
        match self {
            Self::Protocol => Some("http/protobuf"),
            Self::Timeout => Some(DEFAULT_TIMEOUT),
            Self::Compression => Some("none"),
            Self::Insecure => Some("false"),
            Self::Endpoint | Self::Headers | Self::Certificate | Self::ClientCertificate | Self::ClientKey => None,
        }
    }

    /// The argument of a variable, with the parser of the option's values.
    fn argument(self, variable: &'static str) -> Arg {
        let argument = Arg::new(variable)
            .long(variable.to_ascii_lowercase().replace('_', "-"))
            .env(variable)
            .help_heading(heading::TELEMETRY);
        match self {
            Self::Headers => argument.value_parser(value_parser!(SecretArg)),
            Self::Certificate | Self::ClientCertificate | Self::ClientKey => {
                argument.value_parser(value_parser!(PathArg))
            }
            Self::Endpoint | Self::Protocol | Self::Timeout | Self::Compression | Self::Insecure => {
                argument.value_parser(value_parser!(String))
            }
        }
    }
}

/// Arguments by their variables.
#[derive(Debug, Clone, Default)]
pub(in crate::config) struct OtlpArgs {
    texts: BTreeMap<&'static str, String>,
    headers: BTreeMap<&'static str, SecretArg>,
    paths: BTreeMap<&'static str, PathArg>,
}

impl OtlpArgs {
    /// Variable that counts for a signal, and its text; none if both are empty or not set.
    pub(super) fn text(&self, signal: Signal, option: OtlpOption) -> Option<(&'static str, &str)> {
        let mut given = [option.of(signal), option.of_all()].into_iter().filter_map(|variable| {
            let text = self.texts.get(variable)?.trim();
            (!text.is_empty()).then_some((variable, text))
        });
        given.next()
    }

    /// The same for headers.
    pub(super) fn secret(&self, signal: Signal) -> Option<(&'static str, &SecretArg)> {
        let option = OtlpOption::Headers;
        let mut variables = [option.of(signal), option.of_all()].into_iter();
        variables.find_map(|variable| Some((variable, self.headers.get(variable)?)))
    }

    /// The same for files.
    pub(super) fn path(&self, signal: Signal, option: OtlpOption) -> Option<(&'static str, &PathArg)> {
        let mut given = [option.of(signal), option.of_all()].into_iter().filter_map(|variable| {
            let path = self.paths.get(variable)?;
            (path.path() != Err(NotAPath::Empty)).then_some((variable, path))
        });
        given.next()
    }
}

impl FromArgMatches for OtlpArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for variable in OtlpOption::ALL.into_iter().flat_map(OtlpOption::variables) {
            if let Ok(Some(text)) = matches.try_get_one::<String>(variable) {
                self.texts.insert(variable, text.clone());
            } else if let Ok(Some(headers)) = matches.try_get_one::<SecretArg>(variable) {
                self.headers.insert(variable, headers.clone());
            } else if let Ok(Some(path)) = matches.try_get_one::<PathArg>(variable) {
                self.paths.insert(variable, path.clone());
            }
        }
        Ok(())
    }
}

impl Args for OtlpArgs {
    fn augment_args(command: Command) -> Command {
        let of_all = OtlpOption::ALL.into_iter().map(|option| {
            let argument = option.argument(option.of_all()).help(option.help());
            match option.default() {
                Some(default) => argument.default_value(default),
                None => argument,
            }
        });
        let of_one = Signal::ALL.into_iter().flat_map(|signal| {
            OtlpOption::ALL.into_iter().map(move |option| {
                let of_all = option.of_all().to_ascii_lowercase().replace('_', "-");
                let help = format!("--{of_all} for {} alone", signal.path());
                option.argument(option.of(signal)).help(help).hide_short_help(true)
            })
        });
        command.args(of_all.chain(of_one))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
