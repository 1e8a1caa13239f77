//! What should happen and what has: jobs, their plan, their pulls and their verdicts.

pub mod backoff;
pub mod plan;
pub mod reconcile;
pub mod report;
