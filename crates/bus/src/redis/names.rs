//! Names of keys and channels, catalogued in docs/redis.md. Ids are percent-encoded, so that no id can address another's keys,
//! and user, node or lane is the hash tag, so that all its keys are in one slot of a cluster.

use std::iter::once;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_decode_str, utf8_percent_encode};
use protocol::cluster::job::Lane;
use protocol::id::{JobId, NodeId, SessionId, UserId};

use super::settings::Prefix;
use crate::challenges::GlobalChallenge;
use crate::{Bucket, ChallengeKind, SessionKey};

/// Names under one prefix.
#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: Prefix,
}

impl Names {
    pub(super) fn new(prefix: Prefix) -> Self {
        Self { prefix }
    }

    /// Channel of a user's events.
    pub(super) fn event_channel(&self, user: &UserId) -> String {
        self.fill("<prefix>:{<user>}:ev", &[user.as_str()])
    }

    /// User of an event channel.
    pub(super) fn user_of_channel(&self, channel: &str) -> Option<UserId> {
        let encoded = channel
            .strip_prefix(self.prefix.as_str())?
            .strip_prefix(":{")?
            .strip_suffix("}:ev")?;
        UserId::new(percent_decode_str(encoded).decode_utf8().ok()?).ok()
    }

    /// Current offset of a user: hash.
    pub(super) fn offset(&self, user: &UserId) -> String {
        self.fill("<prefix>:{<user>}:pos", &[user.as_str()])
    }

    /// Event log of a user: stream.
    pub(super) fn log(&self, user: &UserId) -> String {
        self.fill("<prefix>:{<user>}:log", &[user.as_str()])
    }

    /// Ids of a user's latest events: sorted set.
    pub(super) fn event_ids(&self, user: &UserId) -> String {
        self.fill("<prefix>:{<user>}:eids", &[user.as_str()])
    }

    /// Resume tokens of a user: hash.
    pub(super) fn resume_tokens(&self, user: &UserId) -> String {
        self.fill("<prefix>:{<user>}:pids", &[user.as_str()])
    }

    /// Rate cell (string) or sliding window (list) of a user.
    pub(super) fn cell(&self, user: &UserId, bucket: &Bucket) -> String {
        match &bucket.scope {
            None => self.fill("<prefix>:{<user>}:rl:<bucket>", &[user.as_str(), bucket.name]),
            Some(scope) => self.fill(
                "<prefix>:{<user>}:rl:<bucket>:<scope>",
                &[user.as_str(), bucket.name, scope],
            ),
        }
    }

    /// Seen devices and networks of a user: set.
    pub(super) fn seen(&self, user: &UserId) -> String {
        self.fill("<prefix>:{<user>}:seen", &[user.as_str()])
    }

    /// Last alert check of a user: string.
    pub(super) fn open(&self, user: &UserId) -> String {
        self.fill("<prefix>:{<user>}:open", &[user.as_str()])
    }

    /// Sliding window of no user: list.
    pub(super) fn global_cell(&self, bucket: &Bucket) -> String {
        let scope = bucket.scope.as_deref().unwrap_or_default();
        self.fill("<prefix>:rl:<bucket>:<scope>", &[bucket.name, scope])
    }

    /// Challenges of a user and kind: hash.
    pub(super) fn challenges(&self, user: &UserId, kind: ChallengeKind) -> String {
        let pattern = match kind {
            ChallengeKind::Authorize => "<prefix>:{<user>}:oauth",
            ChallengeKind::Confirmation => "<prefix>:{<user>}:confirm",
            ChallengeKind::TwoFactor => "<prefix>:{<user>}:2fa",
            ChallengeKind::StepUp => "<prefix>:{<user>}:stepup",
        };
        self.fill(pattern, &[user.as_str()])
    }

    /// Challenge of no user: string.
    pub(super) fn global_challenge(&self, kind: GlobalChallenge, hash: &str) -> String {
        let pattern = match kind {
            GlobalChallenge::State => "<prefix>:oauth:<hash>",
            GlobalChallenge::PendingLink => "<prefix>:link:<hash>",
        };
        self.fill(pattern, &[hash])
    }

    /// Session: string that expires at its deadline.
    pub(super) fn session(&self, key: &SessionKey) -> String {
        self.fill(
            "<prefix>:{<user>}:s:<session>",
            &[key.user.as_str(), key.session.as_str()],
        )
    }

    /// Warning of a session: string that expires when the warning is due.
    pub(super) fn warning(&self, key: &SessionKey) -> String {
        self.fill(
            "<prefix>:{<user>}:w:<session>",
            &[key.user.as_str(), key.session.as_str()],
        )
    }

    /// Name of a session in the index of its user: the last part of [`Names::session`].
    pub(super) fn in_index(&self, session: &SessionId) -> String {
        encoded(session.as_str())
    }

    /// Session with this name in an index.
    pub(super) fn indexed_session(&self, name: &[u8]) -> Option<SessionId> {
        SessionId::new(percent_decode(name).decode_utf8().ok()?).ok()
    }

    /// Index of a user's live sessions by deadline: sorted set.
    pub(super) fn sessions(&self, user: &UserId) -> String {
        self.fill("<prefix>:{<user>}:sids", &[user.as_str()])
    }

    /// End of all sessions of a user: string.
    pub(super) fn end_of_all(&self, user: &UserId) -> String {
        self.fill("<prefix>:{<user>}:ended", &[user.as_str()])
    }

    /// Open sockets of a user: hash.
    pub(super) fn sockets(&self, user: &UserId) -> String {
        self.fill("<prefix>:{<user>}:conn", &[user.as_str()])
    }

    /// Leases of the gateways: sorted set.
    pub(super) fn nodes(&self) -> String {
        self.fill("<prefix>:nodes", &[])
    }

    /// Session of a session key or warning key.
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

    /// Probe key of one subscriber to expiries: string.
    pub(super) fn expiry_probe(&self, subscriber: &str) -> String {
        self.fill("<prefix>:{probe:<subscriber>}:expiry", &[subscriber])
    }

    /// Jobs of a lane: stream.
    pub(super) fn lane(&self, lane: Lane) -> String {
        self.fill("<prefix>:{jobs:<lane>}", &[lane.as_str()])
    }

    /// Size of a lane in bytes: string.
    pub(super) fn lane_bytes(&self, lane: Lane) -> String {
        self.fill("<prefix>:{jobs:<lane>}:bytes", &[lane.as_str()])
    }

    /// Times of the last claim from a lane and the last check of it: hash.
    pub(super) fn lane_served(&self, lane: Lane) -> String {
        self.fill("<prefix>:{jobs:<lane>}:served", &[lane.as_str()])
    }

    /// Dead letters of a lane, without their payload: stream.
    pub(super) fn dead_letters(&self, lane: Lane) -> String {
        self.fill("<prefix>:{jobs:<lane>}:dead", &[lane.as_str()])
    }

    /// Channel of a node's replies.
    pub(super) fn reply_channel(&self, node: &NodeId) -> String {
        self.fill("<prefix>:{n:<node>}", &[node.as_str()])
    }

    /// Stored reply: string.
    pub(super) fn reply(&self, node: &NodeId, job: &JobId) -> String {
        self.fill("<prefix>:{n:<node>}:r:<job>", &[node.as_str(), job.as_str()])
    }

    /// Channel of one subscriber's probe messages.
    pub(super) fn probe(&self, subscriber: &str) -> String {
        self.fill("<prefix>:{probe:<subscriber>}", &[subscriber])
    }

    /// Unused name for the startup check, which another number has in another slot of a cluster.
    pub(super) fn unused(&self, number: u32) -> String {
        self.probe(&format!("start-{number}"))
    }

    /// Fills a pattern: `<prefix>`, then its other variables in their sequence, percent-encoded.
    fn fill(&self, pattern: &'static str, values: &[&str]) -> String {
        // Enough unless a value has reserved characters.
        let mut name = String::with_capacity(self.prefix.as_str().len() + values_len(values) + pattern.len());
        let mut values = once(self.prefix.as_str()).chain(values.iter().copied());
        let mut rest = pattern;
        // The search of std for a character costs a multiple in texts as short as these.
        while let Some((fixed, variable)) = split_at_byte(rest, b'<') {
            name.push_str(fixed);
            name.extend(utf8_percent_encode(values.next().unwrap_or_default(), RESERVED));
            rest = split_at_byte(variable, b'>').map_or("", |(_variable, rest)| rest);
        }
        name.push_str(rest);
        name
    }
}

/// Text before and after the first of an ASCII character.
fn split_at_byte(text: &str, separator: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|byte| byte == separator)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

fn values_len(values: &[&str]) -> usize {
    values.iter().map(|value| value.len()).sum()
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// All characters but the unreserved ones of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests;
