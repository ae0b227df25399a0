//! Names of keys and channels. Whatever comes from outside is percent-encoded, so that no id can reach another's keys, and
//! stands in a hash tag, so that everything of one user (node, lane) is in one slot of a cluster.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_decode_str, utf8_percent_encode};
use protocol::cluster::job::Lane;
use protocol::id::{JobId, NodeId, SessionId, UserId};

use super::settings::Prefix;
use crate::{Bucket, ChallengeKind, SessionKey};

/// The names under one prefix.
#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: Prefix,
}

impl Names {
    pub(super) fn new(prefix: Prefix) -> Self {
        Self { prefix }
    }

    /// The channel of a user's events.
    pub(super) fn events(&self, user: &UserId) -> String {
        self.of_user(user, "ev")
    }

    /// Whose channel of events this is.
    pub(super) fn user_of_events(&self, channel: &str) -> Option<UserId> {
        let encoded = channel
            .strip_prefix(self.prefix.as_str())?
            .strip_prefix(":{")?
            .strip_suffix("}:ev")?;
        UserId::new(percent_decode_str(encoded).decode_utf8().ok()?).ok()
    }

    /// Where a user's order stands: hash of run, epoch and seq.
    pub(super) fn offset(&self, user: &UserId) -> String {
        self.of_user(user, "pos")
    }

    /// A user's log: stream.
    pub(super) fn log(&self, user: &UserId) -> String {
        self.of_user(user, "log")
    }

    /// The ids of a user's newest events: sorted set.
    pub(super) fn event_ids(&self, user: &UserId) -> String {
        self.of_user(user, "eids")
    }

    /// The tickets of a user: hash.
    pub(super) fn tickets(&self, user: &UserId) -> String {
        self.of_user(user, "pids")
    }

    /// A rate cell: string.
    pub(super) fn cell(&self, user: &UserId, bucket: &Bucket) -> String {
        match &bucket.scope {
            None => self.of_user(user, &format!("rl:{}", bucket.name)),
            Some(of) => self.of_user(user, &format!("rl:{}:{}", bucket.name, encoded(of))),
        }
    }

    /// The devices and networks that a user was seen with: set.
    pub(super) fn seen(&self, user: &UserId) -> String {
        self.of_user(user, "seen")
    }

    /// Whether alerts of a user are open: string.
    pub(super) fn open(&self, user: &UserId) -> String {
        self.of_user(user, "open")
    }

    /// A rate cell that is no user's: string.
    pub(super) fn cell_of_anyone(&self, bucket: &Bucket) -> String {
        let of = bucket.scope.as_deref().map(encoded).unwrap_or_default();
        format!("{}:rl:{}:{of}", self.prefix.as_str(), bucket.name)
    }

    /// The challenges of one kind that a user has: hash.
    pub(super) fn challenges(&self, user: &UserId, kind: ChallengeKind) -> String {
        let kind = match kind {
            ChallengeKind::Authorize => "oauth",
            ChallengeKind::Confirmation => "confirm",
            ChallengeKind::TwoFactor => "2fa",
            ChallengeKind::StepUp => "stepup",
        };
        self.of_user(user, kind)
    }

    /// A challenge that belongs to no user: string.
    pub(super) fn challenge_of_nobody(&self, what: &'static str, hash: &str) -> String {
        format!("{}:{what}:{}", self.prefix.as_str(), encoded(hash))
    }

    /// A session: string whose TTL is its time left.
    pub(super) fn session(&self, key: &SessionKey) -> String {
        self.of_user(&key.user, &format!("s:{}", encoded(key.session.as_str())))
    }

    /// What ends when a session's warning is due: string.
    pub(super) fn warning(&self, key: &SessionKey) -> String {
        self.of_user(&key.user, &format!("w:{}", encoded(key.session.as_str())))
    }

    /// A session's name in the index of its user's: the last part of [`Names::session`].
    pub(super) fn in_index(&self, session: &SessionId) -> String {
        encoded(session.as_str())
    }

    /// The session with this name in an index.
    pub(super) fn indexed_session(&self, name: &[u8]) -> Option<SessionId> {
        SessionId::new(percent_decode(name).decode_utf8().ok()?).ok()
    }

    /// The sessions of a user that are alive: sorted set of names by deadline.
    pub(super) fn sessions(&self, user: &UserId) -> String {
        self.of_user(user, "sids")
    }

    /// By when all of a user's sessions have ended: string.
    pub(super) fn end_of_all(&self, user: &UserId) -> String {
        self.of_user(user, "ended")
    }

    /// The sockets of a user: hash.
    pub(super) fn sockets(&self, user: &UserId) -> String {
        self.of_user(user, "conn")
    }

    /// Which gateways are alive: sorted set of leases.
    pub(super) fn nodes(&self) -> String {
        format!("{}:nodes", self.prefix.as_str())
    }

    /// Whose session or warning this key is.
    pub(super) fn session_of(&self, key: &str) -> Option<SessionKey> {
        let (user, rest) = key
            .strip_prefix(self.prefix.as_str())?
            .strip_prefix(":{")?
            .split_once("}:")?;
        let session = rest.strip_prefix("s:").or_else(|| rest.strip_prefix("w:"))?;
        Some(SessionKey {
            user: UserId::new(percent_decode_str(user).decode_utf8().ok()?).ok()?,
            session: SessionId::new(percent_decode_str(session).decode_utf8().ok()?).ok()?,
        })
    }

    /// The key whose end one subscriber waits to be told of: string.
    pub(super) fn expiry_probe(&self, subscriber: &str) -> String {
        format!("{}:{{probe:{subscriber}}}:expiry", self.prefix.as_str())
    }

    /// The jobs of a lane: stream.
    pub(super) fn lane(&self, lane: Lane) -> String {
        format!("{}:{{jobs:{}}}", self.prefix.as_str(), lane.as_str())
    }

    /// How many bytes of jobs a lane holds: string.
    pub(super) fn lane_bytes(&self, lane: Lane) -> String {
        format!("{}:bytes", self.lane(lane))
    }

    /// The jobs that were buried, without their payload: stream.
    pub(super) fn dead(&self, lane: Lane) -> String {
        format!("{}:dead", self.lane(lane))
    }

    /// The channel of a node's answers.
    pub(super) fn node(&self, node: &NodeId) -> String {
        format!("{}:{{n:{}}}", self.prefix.as_str(), encoded(node.as_str()))
    }

    /// A kept answer: string.
    pub(super) fn reply(&self, node: &NodeId, job: &JobId) -> String {
        format!("{}:r:{}", self.node(node), encoded(job.as_str()))
    }

    /// The channel on which one subscriber proves that it hears.
    pub(super) fn probe(&self, subscriber: &str) -> String {
        format!("{}:{{probe:{subscriber}}}", self.prefix.as_str())
    }

    /// Names of no key and no channel, in as many slots of a cluster: for the check at the start. That all of them are on one of
    /// two nodes that share the slots evenly is as likely as 1 in 4 billion.
    pub(super) fn probes(&self) -> impl Iterator<Item = String> {
        (0..32).map(|number| self.probe(&format!("start-{number}")))
    }

    fn of_user(&self, user: &UserId, what: &str) -> String {
        format!("{}:{{{}}}:{what}", self.prefix.as_str(), encoded(user.as_str()))
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// All but what RFC 3986 (section 2.3) calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::new(Prefix::default())
    }

    fn user(id: &str) -> UserId {
        UserId::new(id).unwrap()
    }

    #[test]
    fn names_are_those_of_the_catalogue() {
        let (names, user) = (names(), user("GEN-001"));
        let (node, job) = (NodeId::new("gw-1").unwrap(), JobId::new("j 1").unwrap());
        let sync = Bucket {
            name: "sync",
            scope: Some("github".to_owned()),
        };
        let session = SessionKey {
            user: user.clone(),
            session: SessionId::new("s-1").unwrap(),
        };
        let written = [
            names.session(&session),
            names.warning(&session),
            names.sessions(&user),
            names.end_of_all(&user),
            names.sockets(&user),
            names.nodes(),
            names.events(&user),
            names.log(&user),
            names.offset(&user),
            names.event_ids(&user),
            names.tickets(&user),
            names.cell(&user, &sync),
            names.cell_of_anyone(&sync),
            names.challenge_of_nobody("oauth", "00ff"),
            names.challenges(&user, ChallengeKind::Confirmation),
            names.lane(Lane::Interactive),
            names.dead(Lane::Platform),
            names.node(&node),
            names.reply(&node, &job),
        ];
        assert_eq!(
            written,
            [
                "pn:{GEN-001}:s:s-1",
                "pn:{GEN-001}:w:s-1",
                "pn:{GEN-001}:sids",
                "pn:{GEN-001}:ended",
                "pn:{GEN-001}:conn",
                "pn:nodes",
                "pn:{GEN-001}:ev",
                "pn:{GEN-001}:log",
                "pn:{GEN-001}:pos",
                "pn:{GEN-001}:eids",
                "pn:{GEN-001}:pids",
                "pn:{GEN-001}:rl:sync:github",
                "pn:rl:sync:github",
                "pn:oauth:00ff",
                "pn:{GEN-001}:confirm",
                "pn:{jobs:interactive}",
                "pn:{jobs:platform}:dead",
                "pn:{n:gw-1}",
                "pn:{n:gw-1}:r:j%201",
            ]
        );
    }

    #[test]
    fn a_user_cannot_name_anything_but_itself() {
        let names = names();
        for id in [
            "a}:ev",
            "jobs:interactive",
            "n:gw-1",
            "%7D",
            "a b",
            "*",
            "{",
            "user@host|1",
        ] {
            let channel = names.events(&user(id));
            assert_eq!(channel.matches(['{', '}', '*']).count(), 2, "{channel}");
            assert_eq!(names.user_of_events(&channel), Some(user(id)));
        }
        assert_ne!(names.log(&user("jobs:interactive")), names.lane(Lane::Interactive));
    }

    #[test]
    fn a_session_is_found_by_its_keys() {
        let key = SessionKey {
            user: user("a}:s:b"),
            session: SessionId::new("w: }{").unwrap(),
        };
        for name in [names().session(&key), names().warning(&key)] {
            assert_eq!(names().session_of(&name), Some(key.clone()), "{name}");
        }
        let in_index = names().in_index(&key.session);
        assert!(names().session(&key).ends_with(&in_index));
        assert_eq!(names().indexed_session(in_index.as_bytes()), Some(key.session));
        for other in [
            "pn:{u}:log",
            "pn:{u}:sids",
            "pn:{u}:ended",
            "other:{u}:s:s-1",
            "pn:{probe:x}:expiry",
            "",
        ] {
            assert_eq!(names().session_of(other), None, "{other}");
        }
    }

    #[test]
    fn other_channels_are_nobodys() {
        for channel in ["pn:{GEN-001}:log", "other:{GEN-001}:ev", "pn:{}:ev", ""] {
            assert_eq!(names().user_of_events(channel), None, "{channel}");
        }
    }
}
