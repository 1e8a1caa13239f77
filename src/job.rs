//! What should happen and what has: jobs, their plan, their pulls and their verdicts.

pub mod plan;
