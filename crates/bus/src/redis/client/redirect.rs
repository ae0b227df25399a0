//! Replies by which a node of a cluster refuses a command that another node serves, or that none serves for now.

use fred::error::Error;

use super::command_failure::refusal;
use crate::redis::settings::Endpoint;

/// Reason for which a node of a cluster has not run a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Redirect {
    /// Another node owns the slot.
    Moved(Address),
    /// The slot moves, and another node has the key, or is to have it.
    Ask(Address),
    /// The slot moves, and one node has some of the keys alone.
    TryAgain,
    /// No node serves the slot, or this one has lost most others.
    ///
    /// fred replies this to all commands in flight on the connection, so that a command with this reply may have been run.
    ClusterDown,
}

/// Address in a redirection. Without a host it is that of the node which replied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    host: Option<String>,
    port: u16,
}

impl Redirect {
    /// Redirection in an error reply; none for another error, or an address that is none.
    pub(super) fn of(error: &Error) -> Option<Self> {
        let address = || Address::parse(error.details());
        match refusal(error)? {
            "MOVED" => address().map(Self::Moved),
            "ASK" => address().map(Self::Ask),
            "TRYAGAIN" => Some(Self::TryAgain),
            "CLUSTERDOWN" => Some(Self::ClusterDown),
            _ => None,
        }
    }

    /// Name in metrics.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Moved(_) => "moved",
            Self::Ask(_) => "ask",
            Self::TryAgain => "tryagain",
            Self::ClusterDown => "clusterdown",
        }
    }
}

impl Address {
    /// Address in `MOVED 3999 10.0.0.1:6379`. An IPv6 address has no brackets there.
    fn parse(reply: &str) -> Option<Self> {
        let mut words = reply.split(' ');
        let (_code, _slot, address, None) = (words.next()?, words.next()?, words.next()?, words.next()) else {
            return None;
        };
        let (host, port) = address.rsplit_once(':')?;
        let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
        match host {
            "?" => None,
            "" => Some(Self { host: None, port }),
            host => Some(Self {
                host: Some(host.to_owned()),
                port,
            }),
        }
    }

    /// Server at the address, as this node has named it.
    pub(super) fn named_by(self, node: &Endpoint) -> Endpoint {
        Endpoint {
            host: self.host.unwrap_or_else(|| node.host.clone()),
            port: self.port,
        }
    }
}

#[cfg(test)]
mod tests {
    use fred::error::ErrorKind;
    use proptest::prelude::*;

    use super::*;

    fn named(reply: &str) -> Option<(&'static str, String)> {
        let asked = Endpoint {
            host: "asked".to_owned(),
            port: 1,
        };
        let redirect = Redirect::of(&Error::new(ErrorKind::Cluster, reply.to_owned()))?;
        let kind = redirect.kind();
        match redirect {
            Redirect::Moved(address) | Redirect::Ask(address) => Some((kind, address.named_by(&asked).to_string())),
            Redirect::TryAgain | Redirect::ClusterDown => Some((kind, String::new())),
        }
    }

    #[test]
    fn redirections_name_a_server_and_others_wait() {
        for (reply, expected) in [
            ("MOVED 3999 10.0.0.1:6379", Some(("moved", "10.0.0.1:6379"))),
            ("ASK 3999 node.example:6380", Some(("ask", "node.example:6380"))),
            ("MOVED 3999 fd00::1:6379", Some(("moved", "fd00::1:6379"))),
            ("MOVED 3999 :6379", Some(("moved", "asked:6379"))),
            (
                "TRYAGAIN Multiple keys request during rehashing of slot",
                Some(("tryagain", "")),
            ),
            ("CLUSTERDOWN Hash slot not served", Some(("clusterdown", ""))),
            ("MOVED 3999 ?:6379", None),
            ("MOVED 3999 10.0.0.1", None),
            ("MOVED 3999 10.0.0.1:0", None),
            ("MOVED 3999 10.0.0.1:65536", None),
            ("MOVED 3999", None),
            ("MOVED 3999 a:1 b:2", None),
            ("ERR unknown command", None),
            ("Connection closed.", None),
        ] {
            let expected = expected.map(|(kind, server)| (kind, server.to_owned()));
            assert_eq!(named(reply), expected, "{reply}");
        }
    }

    proptest! {
        #[test]
        fn any_reply_is_read_without_panic(code in "(MOVED|ASK|[A-Z]{0,12})", rest in ".{0,64}") {
            let reply = format!("{code} {rest}");
            if let Some((_, server)) = named(&reply) && !server.is_empty() {
                prop_assert!(server.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port != "0"));
            }
        }
    }
}
