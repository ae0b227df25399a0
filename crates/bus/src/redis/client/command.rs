//! Command for one slot, which may be sent more than once: its owner may have changed.

use std::collections::BTreeMap;

use bytes::Bytes;
use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::ClientLike;
use fred::types::{CustomCommand, Value};

use super::slots::slot_of;
use super::{Arg, Script};

/// Command whose keys are all in one slot.
#[derive(Debug, Clone)]
pub(super) struct Command<'a> {
    name: &'static str,
    arguments: Vec<Value>,
    slot: u16,
    /// Script whose digest is sent.
    script: Option<&'a Script>,
}

impl<'a> Command<'a> {
    /// Command on keys of one slot, which are its first arguments.
    pub(super) fn on_keys(name: &'static str, keys: Vec<String>, rest: impl IntoIterator<Item = Value>) -> Self {
        let slot = common_slot(&keys);
        let keys = keys.into_iter().map(|key| Value::Bytes(Bytes::from(key)));
        Self {
            name,
            arguments: keys.chain(rest).collect(),
            slot,
            script: None,
        }
    }

    /// Run of a script by its digest.
    pub(super) fn run(script: &'a Script, keys: Vec<String>, args: impl IntoIterator<Item = Arg>) -> Self {
        let slot = common_slot(&keys);
        let begin = [
            Value::Bytes(Bytes::copy_from_slice(script.hash().as_bytes())),
            Value::Bytes(Bytes::from(keys.len().to_string())),
        ];
        let keys = keys.into_iter().map(|key| Value::Bytes(Bytes::from(key)));
        Self {
            name: "EVALSHA",
            arguments: begin
                .into_iter()
                .chain(keys)
                .chain(args.into_iter().map(Value::from))
                .collect(),
            slot,
            script: Some(script),
        }
    }

    /// Slot of its keys.
    pub(super) fn slot(&self) -> u16 {
        self.slot
    }

    /// Sends the text of the script from now on, which the server does not know. False if that is done, or it is no script.
    pub(super) fn send_text(&mut self) -> bool {
        let (Some(script), Some(first)) = (self.script.take(), self.arguments.first_mut()) else {
            return false;
        };
        self.name = "EVAL";
        *first = Value::Bytes(Bytes::copy_from_slice(script.text().as_bytes()));
        true
    }

    /// Sends it to the owner of the slot.
    pub(super) async fn send(&self, fred: &Client) -> Result<Value, Error> {
        fred.custom(custom(self.name), self.arguments.clone()).await
    }

    /// Sends it to the server that receives the slot at present (ASKING), which would else refuse it.
    pub(super) async fn send_asking(&self, fred: &Client) -> Result<Value, Error> {
        let pipeline = fred.pipeline();
        let _queued: Value = pipeline.custom(custom(ASKING), Vec::<Value>::new()).await?;
        let _queued: Value = pipeline.custom(custom(self.name), self.arguments.clone()).await?;
        pipeline.last().await
    }
}

fn custom(name: &'static str) -> CustomCommand {
    CustomCommand::new_static(name, None::<u16>, false)
}

/// Keys of one slot each: a cluster refuses a command on those of several.
pub(super) fn by_slot(keys: Vec<String>) -> Vec<Vec<String>> {
    let mut slots: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for key in keys {
        slots.entry(slot_of(&key)).or_default().push(key);
    }
    slots.into_values().collect()
}

/// Slot of keys with one hash tag.
fn common_slot(keys: &[String]) -> u16 {
    let slot = keys.first().map_or(0, |key| slot_of(key));
    debug_assert!(
        keys.iter().all(|key| slot_of(key) == slot),
        "a command for several slots of a cluster"
    );
    slot
}

const ASKING: &str = "ASKING";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Operation;

    fn keys(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn keys_of_several_slots_are_split_in_their_sequence() {
        let split = by_slot(keys(&["pn:{a}:1", "pn:{b}:1", "pn:{a}:2"]));
        assert_eq!(split.len(), 2);
        assert!(split.contains(&keys(&["pn:{a}:1", "pn:{a}:2"])) && split.contains(&keys(&["pn:{b}:1"])));
    }

    #[test]
    #[should_panic(expected = "several slots")]
    fn script_with_keys_of_several_slots_is_a_fault_of_the_code() {
        let script = Script::new(Operation::Gcra, "return 0");
        let _command = Command::run(&script, keys(&["pn:{a}:1", "pn:{b}:1"]), []);
    }

    #[test]
    fn text_of_a_script_is_sent_once_instead_of_its_digest() {
        let script = Script::new(Operation::Gcra, "return 0");
        let mut command = Command::run(&script, keys(&["pn:{a}:1"]), [Arg::from("x")]);
        assert_eq!((command.name, command.arguments.len()), ("EVALSHA", 4));
        assert!(command.send_text());
        let first = command.arguments.first().and_then(Value::as_str);
        assert_eq!((command.name, first.as_deref()), ("EVAL", Some("return 0")));
        assert!(
            !command.send_text(),
            "a server that does not know it by its text never will"
        );
        assert!(!Command::on_keys("DEL", keys(&["a"]), []).send_text());
    }
}
