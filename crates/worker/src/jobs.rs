//! The engine: claims jobs, runs each once at a time until its deadline, answers it, and lets it go.
//!
//! [`lane`] claims, up to its [`permit`]s, [`slots`] has a user with enough in hand wait, and [`renew`] says that what was claimed is
//! still worked on; [`run`] takes one job from its claim to its
//! answer, through [`dispatch`], the one match from command to feature. A feature sees a [`call`], makes its [`receipt`], and
//! fails with a [`refusal`].

mod lane;
mod permit;
mod renew;
mod slots;

mod dispatch;
mod run;

mod call;
mod idempotency;
mod receipt;
mod refusal;

pub(crate) use call::{Call, event_id};
pub(crate) use dispatch::Dispatch;
pub(crate) use lane::LaneServer;
pub(crate) use receipt::{RecallError, unasked};
pub(crate) use refusal::{Refusal, whole_seconds};
pub(crate) use run::Runner;
pub(crate) use slots::UserSlots;
