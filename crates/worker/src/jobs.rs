//! The job engine: claims jobs, runs each one at a time until its deadline, answers it, and removes it from its lane.
//!
//! [`lane`] claims as many jobs as it has permits, [`slots`] bounds the jobs of one user, [`renew`] keeps the claims, and [`run`]
//! takes one job from its claim to its answer through [`dispatch`], the one match from command to feature; [`work_policy`] says
//! what each job needs around that.

mod lane;
mod renew;
mod slots;

mod answers;
mod dispatch;
mod run;
mod trace;
mod work_policy;

pub(crate) use answers::{AnswerQueue, JobAnswers};
pub(crate) use dispatch::Dispatch;
pub(crate) use lane::LaneServer;
pub(crate) use run::Runner;
pub(crate) use slots::UserSlots;
