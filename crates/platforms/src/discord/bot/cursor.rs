//! Read position of each channel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::untrusted::Id;

/// Discord's id: 64 bits, written as a string, increasing with time (Discord, "Snowflakes").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Id", into = "String")]
pub(super) struct Snowflake(u64);

impl TryFrom<Id> for Snowflake {
    type Error = std::num::ParseIntError;

    fn try_from(id: Id) -> Result<Self, Self::Error> {
        id.as_str().parse().map(Self)
    }
}

impl From<Snowflake> for String {
    fn from(id: Snowflake) -> Self {
        id.to_string()
    }
}

impl std::fmt::Display for Snowflake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Cursor of the bot's inbox.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// Guild after which the next read continues; none: the first guild.
    pub(super) after: Option<Snowflake>,
    /// Last message that was read, by guild and channel.
    read: BTreeMap<Snowflake, BTreeMap<Snowflake, Snowflake>>,
}

/// Channel with its read position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReadPosition {
    pub(super) channel: Snowflake,
    pub(super) read: Snowflake,
    /// Newest message of the channel.
    pub(super) last: Snowflake,
}

impl ReadPosition {
    pub(super) fn has_unread(&self) -> bool {
        self.read < self.last
    }
}

impl Cursor {
    /// Read positions of a guild's channels, each given with its newest message. Messages from before the bot's first read of the
    /// guild are skipped; a channel that was created later is read from its beginning.
    pub(super) fn positions(
        &self,
        guild: &Snowflake,
        channels: impl Iterator<Item = (Snowflake, Option<Snowflake>)>,
    ) -> Vec<ReadPosition> {
        let known = self.read.get(guild);
        let position = |(channel, last): (Snowflake, Option<Snowflake>)| {
            let last = last.unwrap_or(channel);
            let read = known.map_or(last, |known| known.get(&channel).copied().unwrap_or(channel));
            ReadPosition { channel, read, last }
        };
        channels.map(position).collect()
    }

    /// Stores the read positions of a guild; channels that no longer exist are dropped.
    pub(super) fn store(&mut self, guild: &Snowflake, positions: Vec<ReadPosition>) {
        let positions = positions.into_iter().map(|position| (position.channel, position.read));
        self.read.insert(*guild, positions.collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUILD: Snowflake = Snowflake(1);

    fn unread(cursor: &Cursor, channels: &[(u64, Option<u64>)]) -> Vec<(u64, u64)> {
        let channels = channels.iter();
        let channels = channels.map(|(channel, last)| (Snowflake(*channel), last.map(Snowflake)));
        let positions = cursor.positions(&GUILD, channels);
        let unread = positions.iter().filter(|position| position.has_unread());
        unread.map(|position| (position.channel.0, position.read.0)).collect()
    }

    #[test]
    fn guild_is_read_from_the_first_read_on_and_a_new_channel_from_its_beginning() {
        let mut cursor = Cursor::default();
        assert_eq!(unread(&cursor, &[(10, Some(99)), (11, None)]), []);
        let first = [(Snowflake(10), Some(Snowflake(99))), (Snowflake(11), None)];
        let positions = cursor.positions(&GUILD, first.into_iter());
        cursor.store(&GUILD, positions);
        let later = [(10, Some(100)), (11, Some(101)), (12, Some(102)), (13, None)];
        assert_eq!(unread(&cursor, &later), [(10, 99), (11, 11), (12, 12)]);
    }

    #[test]
    fn cursor_is_stored_as_strings_that_lose_no_digit() {
        let mut cursor = Cursor {
            after: Some(Snowflake(u64::MAX)),
            ..Cursor::default()
        };
        let position = ReadPosition {
            channel: Snowflake(9_007_199_254_740_993),
            read: Snowflake(7),
            last: Snowflake(8),
        };
        cursor.store(&GUILD, vec![position]);
        let stored = serde_json::to_value(&cursor).unwrap();
        assert_eq!(
            stored,
            serde_json::json!({ "after": "18446744073709551615", "read": { "1": { "9007199254740993": "7" } } })
        );
        let again: Cursor = serde_json::from_value(stored).unwrap();
        assert_eq!(
            unread(&again, &[(9_007_199_254_740_993, Some(8))]),
            [(9_007_199_254_740_993, 7)]
        );
    }
}
