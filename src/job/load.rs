//! How much is asked of a source, noted for the picture of the job.

use std::time::{Duration, Instant};

use super::engine::{Engine, JobError};
use super::work::Work;

/// How often it is written down.
const NOTED: Duration = Duration::from_secs(10);

/// The most associations seen since it was written down last.
#[derive(Default)]
pub(super) struct Load {
    peak: usize,
    noted: Option<Instant>,
}

impl Load {
    /// Looks how many associations are open to the source, whichever process has them.
    pub(super) async fn look(&mut self, engine: &Engine, work: &Work) -> Result<(), JobError> {
        let (_, held) = engine.catalog.slots_held(&work.source_name, engine.keeper.owner()).await?;
        self.peak = self.peak.max(held);
        if self.noted.is_none_or(|at| at.elapsed() >= NOTED) {
            let limits = work.limits();
            engine.catalog.note_load(work.job.id, self.peak, limits.associations, limits.rate).await?;
            (self.peak, self.noted) = (0, Some(Instant::now()));
        }
        Ok(())
    }
}
