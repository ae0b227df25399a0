//! Resume tokens in memory.

use std::collections::HashMap;

use async_trait::async_trait;
use protocol::id::{ResumeTokenId, SessionId, UserId};
use protocol::time::Timestamp;
use tokio::time::Instant;

use super::expiring::Expiring;
use super::{MemoryBus, lock};
use crate::bounds::{RESUME_TOKEN_TTL, kept_resume_tokens};
use crate::{BusError, ChannelMessage, Redeemed, ResumeLease, ResumeToken, ResumeTokenKey, ResumeTokens};

/// Resume tokens of each user, least recently renewed first.
#[derive(Debug, Default)]
pub(super) struct TokenTable {
    users: Expiring<UserId, Vec<TokenRecord>>,
}

/// Resume token with the number and the attempt time of its latest redemption.
#[derive(Debug, Clone)]
struct TokenRecord {
    id: ResumeTokenId,
    token: ResumeToken,
    redemption: u64,
    attempted_at: Option<Timestamp>,
    ends: Instant,
}

impl TokenTable {
    fn find(&self, key: &ResumeTokenKey) -> Option<TokenRecord> {
        let known = self.of(&key.user);
        known.into_iter().find(|record| record.id == key.id)
    }

    /// Stores a record with a fresh TTL.
    fn store(&mut self, user: &UserId, record: TokenRecord) {
        let ends = Instant::now() + RESUME_TOKEN_TTL;
        let id = record.id.clone();
        let mut known = self.of(user);
        known.retain(|other| other.id != id);
        known.push(TokenRecord { ends, ..record });
        self.users.insert(user.clone(), known, RESUME_TOKEN_TTL);
    }

    /// Stores a new record, and evicts others if the user has more than `most` then.
    fn issue(&mut self, user: &UserId, record: TokenRecord, most: usize) {
        let issued = record.id.clone();
        self.store(user, record);
        let mut known = self.of(user);
        if known.len() > most {
            evict(&mut known, &issued, kept_resume_tokens(most));
            self.users.insert(user.clone(), known, RESUME_TOKEN_TTL);
        }
    }

    fn remove(&mut self, key: &ResumeTokenKey) {
        let mut known = self.of(&key.user);
        known.retain(|record| record.id != key.id);
        self.users.insert(key.user.clone(), known, RESUME_TOKEN_TTL);
    }

    fn of(&self, user: &UserId) -> Vec<TokenRecord> {
        let now = Instant::now();
        let mut known = self.users.get(user).cloned().unwrap_or_default();
        known.retain(|record| record.ends > now);
        known
    }
}

/// Evicts all but `most`: each time the first of the session with the most tokens, but not `issued`.
fn evict(known: &mut Vec<TokenRecord>, issued: &ResumeTokenId, most: usize) {
    let mut of_session = HashMap::<SessionId, usize>::new();
    // Numbers of sessions with at least one token, with at least two, and so on.
    let mut sessions: Vec<usize> = Vec::new();
    for record in known.iter() {
        let count = of_session.entry(record.token.session.clone()).or_default();
        match sessions.get_mut(*count) {
            Some(number) => *number += 1,
            None => sessions.push(1),
        }
        *count += 1;
    }
    let mut excess = known.len().saturating_sub(most);
    while let Some(largest) = sessions.pop_if(|largest| *largest <= excess) {
        excess -= largest;
    }
    // Tokens that a session keeps, and `excess` sessions keep one less.
    let level = sessions.len();
    known.retain(|record| {
        let count = of_session.entry(record.token.session.clone()).or_default();
        let is_evicted = record.id != *issued && (*count > level || (*count == level && excess > 0));
        if is_evicted {
            excess -= usize::from(*count == level);
            *count -= 1;
        }
        !is_evicted
    });
}

#[async_trait]
impl ResumeTokens for MemoryBus {
    async fn issue_token(
        &self,
        key: &ResumeTokenKey,
        token: &ResumeToken,
        most: usize,
    ) -> Result<ResumeLease, BusError> {
        let record = TokenRecord {
            id: key.id.clone(),
            token: token.clone(),
            redemption: 0,
            attempted_at: None,
            ends: Instant::now(),
        };
        lock(&self.shared.resume_tokens).issue(&key.user, record, most.max(1));
        Ok(ResumeLease {
            key: key.clone(),
            redemption: 0,
        })
    }

    async fn redeem_token(
        &self,
        key: &ResumeTokenKey,
        session: &SessionId,
        attempted_at: Timestamp,
    ) -> Result<Option<Redeemed>, BusError> {
        let mut events = lock(&self.shared.events);
        let epoch = events.offset(&key.user, &*self.shared.entropy).epoch;
        let mut tokens = lock(&self.shared.resume_tokens);
        let known = tokens.find(key);
        // After a change of the epoch the missed events are unknown.
        let redeemable =
            known.filter(|TokenRecord { token, .. }| token.session == *session && token.start.epoch == epoch);
        // A delayed attempt loses to a later one: its client has given up.
        let redeemable = redeemable.filter(|known| known.attempted_at.is_none_or(|last| last <= attempted_at));
        let Some(known) = redeemable else {
            return Ok(None);
        };
        let (token, redemption) = (known.token.clone(), known.redemption + 1);
        let record = TokenRecord {
            redemption,
            attempted_at: Some(attempted_at),
            ..known
        };
        tokens.store(&key.user, record);
        let redeemed = ChannelMessage::Redeemed {
            user: key.user.clone(),
            token: key.id.clone(),
            redemption,
        };
        events.deliver(&key.user, &redeemed);
        let key = key.clone();
        Ok(Some(Redeemed {
            token,
            lease: ResumeLease { key, redemption },
        }))
    }

    async fn renew_tokens(&self, leases: &[ResumeLease]) -> Result<Vec<bool>, BusError> {
        let mut tokens = lock(&self.shared.resume_tokens);
        let renew = |lease: &ResumeLease| {
            let Some(record) = tokens.find(&lease.key) else {
                return true;
            };
            let is_latest = record.redemption == lease.redemption;
            if is_latest {
                tokens.store(&lease.key.user, record);
            }
            is_latest
        };
        Ok(leases.iter().map(renew).collect())
    }

    async fn revoke_token(&self, lease: &ResumeLease) -> Result<(), BusError> {
        let mut tokens = lock(&self.shared.resume_tokens);
        let known = tokens.find(&lease.key);
        if known.is_some_and(|record| record.redemption == lease.redemption) {
            tokens.remove(&lease.key);
        }
        Ok(())
    }
}
