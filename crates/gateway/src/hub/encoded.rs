//! An event on its way to several sockets: written once for each form, however many sockets have it.

use protocol::wire::{Message, Push};

use crate::form::Form;

/// An event and its messages so far.
pub(super) struct Encoded {
    push: Push,
    by_form: [Option<Message>; Form::COUNT],
}

impl Encoded {
    pub(super) fn new(push: Push) -> Self {
        Self {
            push,
            by_form: Default::default(),
        }
    }

    /// The event in this form. The bytes are shared, not copied.
    pub(super) fn message(&mut self, form: Form) -> Message {
        match self.by_form.get_mut(form.index()) {
            Some(written) => written.get_or_insert_with(|| form.push(&self.push)).clone(),
            None => form.push(&self.push),
        }
    }
}
