//! What a monitoring system reads, in the text format of Prometheus.

use std::fmt::{Display, Write};

use super::Web;
use crate::catalog::{CatalogError, Job, Totals};

/// Finished jobs that are told of, beside all that are not.
const FINISHED: usize = 10;

/// All metrics.
pub(super) async fn render(web: &Web) -> Result<String, CatalogError> {
    let mut out = Exposition::default();
    out.family("pacsferry_build_info", "gauge", "The version that runs.");
    out.sample("pacsferry_build_info", &[("version", &env!("CARGO_PKG_VERSION"))], 1);
    node(&mut out, web);
    holdings(&mut out, web).await?;
    outbox(&mut out, web).await?;
    let mut jobs = web.catalog.jobs().await?;
    jobs.sort_by_key(|job| (job.state.is_over(), std::cmp::Reverse(job.id)));
    let over = jobs.iter().take_while(|job| !job.state.is_over()).count();
    jobs.truncate(over + FINISHED);
    let mut told = Vec::with_capacity(jobs.len());
    for job in jobs {
        let totals = web.catalog.totals(job.id).await?;
        told.push((job, totals));
    }
    progress(&mut out, &told);
    Ok(out.0)
}

/// What the node has done since it started.
fn node(out: &mut Exposition, web: &Web) {
    let reading = web.meter.read();
    out.only("pacsferry_associations_open", "gauge", "Associations of hospital nodes that are open.", reading.open);
    out.only("pacsferry_associations_total", "counter", "Associations that were accepted.", reading.accepted);
    out.family("pacsferry_turned_away_total", "counter", "Connections that came to no association, by reason.");
    for (reason, count) in &reading.turned_away {
        out.sample("pacsferry_turned_away_total", &[("reason", reason)], *count);
    }
    out.family("pacsferry_requests_total", "counter", "Requests of hospital nodes, by service.");
    for (service, count) in &reading.requests {
        out.sample("pacsferry_requests_total", &[("service", service)], *count);
    }
    out.only("pacsferry_requests_refused_total", "counter", "Requests that reached no service.", reading.refused);
    out.only("pacsferry_objects_received_total", "counter", "Objects that hospital nodes stored.", reading.received);
    out.only("pacsferry_objects_sent_total", "counter", "Objects sent by C-MOVE and C-GET.", reading.sent);
    out.only("pacsferry_objects_not_sent_total", "counter", "Objects that could not be sent.", reading.not_sent);
}

/// What is held, and the room for more.
async fn holdings(out: &mut Exposition, web: &Web) -> Result<(), CatalogError> {
    let figures = web.catalog.figures().await?;
    out.only("pacsferry_studies_total", "counter", "Studies ever recorded.", figures.studies);
    out.only("pacsferry_instances_total", "counter", "Instances ever recorded, by all processes.", figures.instances);
    out.only("pacsferry_quarantined_total", "counter", "Objects ever put into quarantine.", figures.quarantined);
    let worker = web.catalog.holder(web.worker_lease).await?.is_some();
    out.only("pacsferry_worker_up", "gauge", "Whether a worker runs that takes up jobs.", u64::from(worker));
    let store = web.store.clone();
    if let Ok(Ok(free)) = tokio::task::spawn_blocking(move || store.free_bytes()).await {
        out.only("pacsferry_storage_free_bytes", "gauge", "Free space of the storage folder.", free);
    }
    Ok(())
}

/// What others have not been told yet.
async fn outbox(out: &mut Exposition, web: &Web) -> Result<(), CatalogError> {
    let counts = web.catalog.outbox_counts().await?;
    let (rescan, publish): (&dyn Display, &dyn Display) = (&"rescan", &"publish");
    out.family("pacsferry_outbox_waiting", "gauge", "What others have to be told of corrections, by kind.");
    out.sample("pacsferry_outbox_waiting", &[("kind", rescan)], counts.rescans_waiting);
    out.sample("pacsferry_outbox_waiting", &[("kind", publish)], counts.publications_waiting);
    out.family("pacsferry_outbox_failed", "gauge", "What others would not hear of: somebody has to try it again.");
    out.sample("pacsferry_outbox_failed", &[("kind", rescan)], counts.rescans_failed);
    out.sample("pacsferry_outbox_failed", &[("kind", publish)], counts.publications_failed);
    let now = jiff::Timestamp::now().as_millisecond();
    let oldest = counts.oldest.map_or(0, |oldest| u64::try_from((now - oldest) / 1000).unwrap_or(0));
    out.only("pacsferry_outbox_oldest_seconds", "gauge", "How long the oldest of what waits has waited.", oldest);
    Ok(())
}

/// How far the jobs are.
fn progress(out: &mut Exposition, jobs: &[(Job, Totals)]) {
    out.family("pacsferry_job_state", "gauge", "The state of a job: 1 for the one it is in.");
    for (job, _) in jobs {
        let state: &dyn Display = &job.state.as_text();
        out.sample("pacsferry_job_state", &[("job", &job.id), ("kind", &job.spec.kind.as_text()), ("state", state)], 1);
    }
    out.family("pacsferry_job_items", "gauge", "Studies or folders of a job, by state.");
    for (job, totals) in jobs {
        let items = &totals.items;
        for (state, count) in [
            ("pending", items.pending()),
            ("proven", items.proven),
            ("partial", items.partial),
            ("failed", items.failed),
            ("excluded", items.excluded),
            ("cancelled", items.cancelled),
        ] {
            out.sample("pacsferry_job_items", &[("job", &job.id), ("state", &state)], count);
        }
    }
    out.family("pacsferry_job_objects", "gauge", "Objects of a job, by what became of them.");
    for (job, totals) in jobs {
        let objects = &totals.objects;
        for (outcome, count) in [
            ("listed", objects.listed),
            ("filed", objects.filed),
            ("duplicate", objects.duplicate),
            ("already-moved", objects.already_moved),
            ("variant", objects.variant),
            ("collision", objects.collision),
            ("quarantined", objects.quarantined),
        ] {
            out.sample("pacsferry_job_objects", &[("job", &job.id), ("outcome", &outcome)], count);
        }
    }
    out.family("pacsferry_job_bytes", "gauge", "Bytes of data sets that arrived for a job.");
    for (job, totals) in jobs {
        out.sample("pacsferry_job_bytes", &[("job", &job.id)], totals.bytes);
    }
}

/// The text that is being written.
#[derive(Default)]
struct Exposition(String);

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.push(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &dyn Display)], value: u64) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(key, value)| {
                let value = value.to_string().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                format!("{key}=\"{value}\"")
            })
            .collect();
        if labels.is_empty() {
            self.push(format_args!("{name} {value}\n"));
        } else {
            self.push(format_args!("{name}{{{}}} {value}\n", labels.join(",")));
        }
    }

    fn only(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing into a String cannot fail.
        let _ = self.0.write_fmt(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_break_out_of_their_line() {
        let mut out = Exposition::default();
        out.sample("a", &[("source", &"x\"} 1\nb{y=\"\\")], 2);
        assert_eq!(out.0, "a{source=\"x\\\"} 1\\nb{y=\\\"\\\\\"} 2\n");
    }
}
