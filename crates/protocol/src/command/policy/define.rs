//! Macro of the policy table.

/// Defines [`super::Command`], [`super::CommandKind`], [`super::Answer`] and their policies from one table. A row that lacks a
/// column, and a payload that lacks its [`super::super::payload::Payload`], do not compile.
macro_rules! commands {
    ($(
        $(#[doc = $doc:literal])+
        $kind:ident ($event:literal, $payload:ident) -> ($response_event:literal, $answer:ident) {
            $($column:ident: $value:expr),+ $(,)?
        }
    )+) => {
        /// A command as the client's payload states it, checked for shape, not yet for permission.
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(tag = "event", content = "data")]
        pub enum Command {
            $(
                $(#[doc = $doc])+
                #[serde(rename = $event)]
                $kind($payload),
            )+
        }

        /// Answer to a command that succeeded: `{"success": true, ...}` with the fields of its payload.
        #[derive(Debug, Clone)]
        pub enum Answer {
            $(
                #[doc = concat!("`", $response_event, "`")]
                $kind($answer),
            )+
        }

        impl Answer {
            /// Kind of the answered command.
            #[must_use]
            pub fn kind(&self) -> CommandKind {
                match self {
                    $(Self::$kind(_) => CommandKind::$kind,)+
                }
            }

            /// Payload as JSON, `success` in front.
            #[must_use]
            pub fn data(&self) -> Json {
                match self {
                    $(Self::$kind(data) => success(data),)+
                }
            }
        }

        /// Kind of a command, without its payload.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum CommandKind {
            $(
                #[doc = concat!("`", $event, "`")]
                $kind,
            )+
        }

        impl CommandKind {
            /// All commands, in the order of docs/protocol.md.
            pub const ALL: [Self; [$($event),+].len()] = [$(Self::$kind),+];

            /// Row of this command.
            #[must_use]
            pub fn policy(self) -> &'static CommandPolicy {
                match self {
                    $(Self::$kind => {
                        const ROW: CommandPolicy = CommandPolicy {
                            event: $event,
                            response_event: $response_event,
                            $($column: $value,)+
                        };
                        &ROW
                    })+
                }
            }
        }

        #[cfg(feature = "schema")]
        impl CommandKind {
            /// Effect of the command, as its row describes it.
            #[must_use]
            pub fn summary(self) -> &'static str {
                match self {
                    $(Self::$kind => concat!($($doc),+).trim(),)+
                }
            }

            /// Schema of the payload.
            pub fn data_schema(self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                match self {
                    $(Self::$kind => generator.subschema_for::<$payload>(),)+
                }
            }

            /// Schema of the payload of a successful answer, without `success`.
            pub fn answer_schema(self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                match self {
                    $(Self::$kind => generator.subschema_for::<$answer>(),)+
                }
            }
        }

        impl Command {
            /// Kind of this command.
            #[must_use]
            pub fn kind(&self) -> CommandKind {
                match self {
                    $(Self::$kind(_) => CommandKind::$kind,)+
                }
            }

            pub(super) fn payload(&self) -> &dyn Payload {
                match self {
                    $(Self::$kind(payload) => payload,)+
                }
            }

            /// Reads the payload of this kind, whatever the length of its texts.
            pub(super) fn read(kind: CommandKind, data: Value) -> Result<Self, InvalidCommand> {
                Ok(match kind {
                    $(CommandKind::$kind => Self::$kind(read(data)?),)+
                })
            }
        }
    };
}

pub(super) use commands;
