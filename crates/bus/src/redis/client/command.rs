//! Command for one slot, which may be sent more than once: its owner may have changed.

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
