//! A job while it runs: progress drawn from the catalog, signals, and who does the work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::output::{count, thousands};
use super::signals::{Asked, Signals};
use super::{Failure, Global, log};
use crate::catalog::{Catalog, Control, ItemState, Job, JobKind, JobState, Totals};
use crate::config::Config;
use crate::config::units::{format_bytes, format_duration, format_rate};
use crate::job::control;
use crate::job::progress::{eta, is_at_rest, is_waiting};
use crate::job::report::state_text;
use crate::node::{self, NodeError, WORKER_LEASE, WorkerScope};

/// How often the catalog is asked.
const TICK: Duration = Duration::from_millis(200);
/// How often a line is written where there is no terminal to draw on.
const LINE: Duration = Duration::from_secs(10);
/// How long a worker may be missing before this process takes over.
const MISSING: Duration = Duration::from_secs(1);
/// How long a stop may take before it is said that it takes long.
const STOPPING: Duration = Duration::from_secs(5);

/// How following a job ended.
pub(super) enum Ended {
    /// The job is at rest.
    AtRest(Box<Job>),
    /// This process was interrupted twice; the job pauses, or is paused by whoever works on it.
    Left,
    /// This process was told to end; the job stays running and goes on with the next worker.
    Terminated,
}

/// A job that is followed, by whomever it is run.
pub(super) struct Follow<'a> {
    global: &'a Global,
    config: &'a Config,
    catalog: &'a Catalog,
    job: i64,
    worker: Option<Worker>,
    missing_since: Option<Instant>,
}

struct Worker {
    ended: Arc<Notify>,
    task: JoinHandle<Result<(), NodeError>>,
    shutdown: CancellationToken,
}

impl<'a> Follow<'a> {
    pub(super) fn new(global: &'a Global, config: &'a Config, catalog: &'a Catalog, job: i64) -> Self {
        Follow { global, config, catalog, job, worker: None, missing_since: None }
    }

    /// Runs the job here, unless a living worker does, and draws its progress until it is at rest.
    pub(super) async fn until_rest(mut self) -> Result<Ended, Failure> {
        let mut signals = Signals::new()?;
        if control::is_held(self.catalog, WORKER_LEASE).await? {
            log::say("a worker is running: it does the work, this command only follows it");
        } else {
            self.start_worker();
        }
        let mut display = Display::new();
        let mut stopping: Option<Instant> = None;
        let mut slow_told = false;
        loop {
            let job = self.read_job().await?;
            display.draw(self.catalog, &job).await?;
            if is_at_rest(job.state) {
                break;
            }
            if !slow_told && stopping.is_some_and(|since| since.elapsed() > STOPPING) {
                slow_told = true;
                log::say("still stopping: the source has not let go yet; interrupt again to stop at once");
            }
            let ended = self.worker.as_ref().map(|worker| Arc::clone(&worker.ended));
            let ended = async {
                match &ended {
                    Some(ended) => ended.notified().await,
                    None => std::future::pending().await,
                }
            };
            let asked = tokio::select! {
                asked = signals.next() => Some(asked),
                () = tokio::time::sleep(TICK) => None,
                () = ended => None,
            };
            match asked {
                Some(Asked::Pause) if stopping.is_some() => {
                    log::say("stopped at once; nothing is lost: the job goes on from its checkpoint");
                    return Ok(Ended::Left);
                }
                Some(Asked::Pause) => {
                    stopping = Some(Instant::now());
                    log::say(match job.spec.kind {
                        JobKind::Migration => "pausing: the source is told to stop, what is whole is filed",
                        JobKind::Import => "pausing: what is on its way is filed",
                    });
                    self.catalog.set_control(self.job, Control::Pause).await?;
                }
                Some(Asked::Leave) => return self.leave().await,
                None => self.mind_worker().await?,
            }
        }
        display.finish();
        self.join().await?;
        Ok(Ended::AtRest(Box::new(self.read_job().await?)))
    }

    async fn read_job(&self) -> Result<Job, Failure> {
        let gone = || Failure::new(format!("job {} is no longer in the catalog", self.job), "");
        self.catalog.job(self.job).await?.ok_or_else(gone)
    }

    fn start_worker(&mut self) {
        let shutdown = CancellationToken::new();
        let run = node::run_worker(self.config.clone(), WorkerScope::Job(self.job), shutdown.clone());
        let ended = Arc::new(Notify::new());
        let tell = Arc::clone(&ended);
        let task = tokio::spawn(async move {
            let result = run.await;
            tell.notify_one();
            result
        });
        self.worker = Some(Worker { task, shutdown, ended });
    }

    /// Sees that somebody works: our own worker must not have ended, another one must not have died.
    async fn mind_worker(&mut self) -> Result<(), Failure> {
        if self.worker.as_ref().is_some_and(|worker| worker.task.is_finished()) {
            let at_rest = is_at_rest(self.read_job().await?.state);
            self.join().await?;
            if !at_rest {
                return Err(Failure::new(
                    format!("the worker ended and left job {} {}", self.job, state_text(self.read_job().await?.state)),
                    format!("`{}` goes on with it", self.global.command(&format!("job {} resume", self.job))),
                ));
            }
        }
        if self.worker.is_none() {
            if control::is_held(self.catalog, WORKER_LEASE).await? {
                self.missing_since = None;
            } else if self.missing_since.get_or_insert_with(Instant::now).elapsed() > MISSING {
                log::say("the worker is gone: this process goes on with the job");
                self.start_worker();
            }
        }
        Ok(())
    }

    async fn join(&mut self) -> Result<(), Failure> {
        let Some(worker) = self.worker.take() else {
            return Ok(());
        };
        match worker.task.await {
            Ok(result) => result.map_err(Failure::from),
            Err(error) => Err(Failure::new(
                format!("the worker broke down: {error}"),
                format!(
                    "`{}` goes on from the checkpoint; please report what was logged",
                    self.global.command(&format!("job {} resume", self.job))
                ),
            )),
        }
    }

    /// SIGTERM: the process ends, the job stays running.
    async fn leave(&mut self) -> Result<Ended, Failure> {
        if let Some(worker) = &self.worker {
            worker.shutdown.cancel();
        }
        self.join().await?;
        let by = if control::is_held(self.catalog, WORKER_LEASE).await? {
            "the worker goes on with it".to_owned()
        } else {
            format!("the next worker goes on with it (`{}`)", self.global.command("work"))
        };
        log::say(&format!("terminated; job {} stays running: {by}", self.job));
        Ok(Ended::Terminated)
    }
}

/// What is drawn on standard error.
struct Display {
    bar: Option<ProgressBar>,
    last_line: Option<Instant>,
    last_state: Option<JobState>,
}

impl Display {
    fn new() -> Self {
        let bar = log::is_terminal().then(|| log::BARS.add(ProgressBar::new(0)));
        Display { bar, last_line: None, last_state: None }
    }

    async fn draw(&mut self, catalog: &Catalog, job: &Job) -> Result<(), Failure> {
        let due = self.last_line.is_none_or(|last| last.elapsed() >= LINE) || self.last_state != Some(job.state);
        if self.bar.is_none() && !due {
            return Ok(());
        }
        let totals = catalog.totals(job.id).await?;
        let text = status_line(catalog, job, &totals).await?;
        match &self.bar {
            // As long as the list grows, a share of it would only mislead.
            Some(bar) => log::alone(|| {
                bar.set_style(style(job.enumerated));
                bar.update(|state| {
                    state.set_len(totals.items.total);
                    state.set_pos(totals.items.total.saturating_sub(totals.items.pending()));
                });
                bar.set_message(text);
            }),
            None => {
                log::say(&format!("job {}: {text}", job.id));
                self.last_line = Some(Instant::now());
            }
        }
        self.last_state = Some(job.state);
        Ok(())
    }

    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            log::alone(|| {
                bar.finish_and_clear();
                log::BARS.remove(&bar);
            });
        }
    }
}

fn style(with_bar: bool) -> ProgressStyle {
    let template = if with_bar { "{spinner} {wide_bar} {percent:>3} %\n  {wide_msg}" } else { "{spinner} {wide_msg}" };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ")
}

/// How far a job is, in one line for people.
pub(super) async fn status_line(catalog: &Catalog, job: &Job, totals: &Totals) -> Result<String, Failure> {
    let window = Duration::from_secs(10);
    let (objects, bytes) = catalog.throughput(job.id, window).await?;
    let items = &totals.items;
    let listing = if job.enumerated { "" } else { " listed so far" };
    let mut parts = vec![format!(
        "{}: {} of {}{listing} proven",
        if is_waiting(job) { "waiting" } else { state_text(job.state) },
        thousands(items.proven),
        count(items.total, "study", "studies")
    )];
    if items.fallout() > 0 {
        parts.push(format!("{} not", thousands(items.fallout())));
    }
    if items.waiting > 0 {
        parts.push(format!("{} {}", thousands(items.waiting), ItemState::Waiting.as_text()));
    }
    let received = if totals.bytes > 0 { format!(", {}", format_bytes(totals.bytes)) } else { String::new() };
    parts.push(format!("{}{received}", count(totals.objects.filed, "object", "objects")));
    if objects > 0 && !is_at_rest(job.state) {
        let seconds = window.as_secs();
        parts.push(format!("{}/s, {}", thousands(objects.div_ceil(seconds)), format_rate(bytes / seconds)));
    }
    if let Some(eta) = eta(catalog, job, totals).await? {
        parts.push(format!("about {} to go", format_duration(eta)));
    }
    if let Some(day) = catalog.newest_pending(job.id).await? {
        parts.push(if day.is_empty() {
            "at studies without a date".to_owned()
        } else {
            format!("at {}", crate::dicom::Date::parse(&day).map_or(day, |d| d.iso()))
        });
    }
    Ok(parts.join(" | "))
}
