//! Deliveries that platforms start: webhook requests, and the inboxes of bots.
//!
//! [`webhook`] verifies a request, [`inbox`] reads an inbox under a lease; [`addressed`] delivers what they bring to the users who
//! have linked the addressee.

mod addressed;
mod inbox;
mod webhook;

pub(crate) use addressed::Addressees;
pub(crate) use inbox::InboxReader;
pub(crate) use webhook::Webhooks;
