//! Resume tokens in memory.

use async_trait::async_trait;
use protocol::id::{ResumeTokenId, SessionId, UserId};
use protocol::time::Timestamp;
use tokio::time::Instant;

use super::expiring::Expiring;
use super::{MemoryBus, lock};
use crate::bounds::{MAX_RESUME_TOKENS, RESUME_TOKEN_TTL};
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
        while known.len() > MAX_RESUME_TOKENS {
            let index = excess(&known, &id);
            known.remove(index);
        }
        self.users.insert(user.clone(), known, RESUME_TOKEN_TTL);
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

/// Index of the token to evict: the first of the session with the most tokens, but not `kept`.
fn excess(known: &[TokenRecord], kept: &ResumeTokenId) -> usize {
    let of = |session: &SessionId| known.iter().filter(|other| other.token.session == *session).count();
    let others = known.iter().enumerate().filter(|(_, record)| record.id != *kept);
    let evicted = others.rev().max_by_key(|(_, record)| of(&record.token.session));
    evicted.map_or(0, |(index, _)| index)
}

#[async_trait]
impl ResumeTokens for MemoryBus {
    async fn issue_token(&self, key: &ResumeTokenKey, token: &ResumeToken) -> Result<ResumeLease, BusError> {
        let record = TokenRecord {
            id: key.id.clone(),
            token: token.clone(),
            redemption: 0,
            attempted_at: None,
            ends: Instant::now(),
        };
        lock(&self.shared.resume_tokens).store(&key.user, record);
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
