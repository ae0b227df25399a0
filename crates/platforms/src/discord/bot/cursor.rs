//! Up to where each channel was read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::foreign::Id;

/// An id of Discord's: 64 bits, written as a text, larger for what is newer (Discord, "Snowflakes").
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

/// Where reading goes on.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// The guild after which it goes on; none: from the first.
    pub(super) after: Option<Snowflake>,
    /// By guild and channel, the last message that was read.
    read: BTreeMap<Snowflake, BTreeMap<Snowflake, Snowflake>>,
}

/// A channel, and how far it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) channel: Snowflake,
    pub(super) read: Snowflake,
    /// The newest message there is.
    pub(super) last: Snowflake,
}

impl Place {
    pub(super) fn is_behind(&self) -> bool {
        self.read < self.last
    }
}

impl Cursor {
    /// How far the channels of a guild were read, each given with its last message. What was said in a guild before the bot was first
    /// seen there is no news; a channel that has come since then is read from its beginning.
    pub(super) fn places(
        &self,
        guild: &Snowflake,
        channels: impl Iterator<Item = (Snowflake, Option<Snowflake>)>,
    ) -> Vec<Place> {
        let known = self.read.get(guild);
        let place = |(channel, last): (Snowflake, Option<Snowflake>)| {
            let last = last.unwrap_or(channel);
            let read = known.map_or(last, |known| known.get(&channel).copied().unwrap_or(channel));
            Place { channel, read, last }
        };
        channels.map(place).collect()
    }

    /// Remembers how far they are read now; channels that are gone are forgotten.
    pub(super) fn keep(&mut self, guild: &Snowflake, places: Vec<Place>) {
        let places = places.into_iter().map(|place| (place.channel, place.read));
        self.read.insert(*guild, places.collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUILD: Snowflake = Snowflake(1);

    fn behind(cursor: &Cursor, channels: &[(u64, Option<u64>)]) -> Vec<(u64, u64)> {
        let channels = channels.iter();
        let channels = channels.map(|(channel, last)| (Snowflake(*channel), last.map(Snowflake)));
        let places = cursor.places(&GUILD, channels);
        let behind = places.iter().filter(|place| place.is_behind());
        behind.map(|place| (place.channel.0, place.read.0)).collect()
    }

    #[test]
    fn a_guild_is_news_from_the_first_look_on_and_a_new_channel_from_its_beginning() {
        let mut cursor = Cursor::default();
        assert_eq!(behind(&cursor, &[(10, Some(99)), (11, None)]), []);
        let first = [(Snowflake(10), Some(Snowflake(99))), (Snowflake(11), None)];
        let places = cursor.places(&GUILD, first.into_iter());
        cursor.keep(&GUILD, places);
        let later = [(10, Some(100)), (11, Some(101)), (12, Some(102)), (13, None)];
        assert_eq!(behind(&cursor, &later), [(10, 99), (11, 11), (12, 12)]);
    }

    #[test]
    fn a_cursor_is_kept_as_texts_that_lose_no_digit() {
        let mut cursor = Cursor {
            after: Some(Snowflake(u64::MAX)),
            ..Cursor::default()
        };
        let place = Place {
            channel: Snowflake(9_007_199_254_740_993),
            read: Snowflake(7),
            last: Snowflake(8),
        };
        cursor.keep(&GUILD, vec![place]);
        let kept = serde_json::to_value(&cursor).unwrap();
        assert_eq!(
            kept,
            serde_json::json!({ "after": "18446744073709551615", "read": { "1": { "9007199254740993": "7" } } })
        );
        let again: Cursor = serde_json::from_value(kept).unwrap();
        assert_eq!(
            behind(&again, &[(9_007_199_254_740_993, Some(8))]),
            [(9_007_199_254_740_993, 7)]
        );
    }
}
