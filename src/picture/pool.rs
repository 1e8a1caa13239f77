//! The workers that there are, who waits for one, and the order of a picture.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::protocol::{ALIVE, Decode, END, LONGEST_ANSWER, MEASURED, NO_FRAME, PICTURE, PIECE, REASON, Request, Task};
use super::{Ask, PictureError};
use crate::dicom::TransferSyntaxUid;
use crate::outlet::{Departing, OutletError, Pieces};

/// Pictures that may wait for a worker.
const WAITING: usize = 128;
/// How long a worker without work is kept, and how often that is looked at.
const IDLE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_secs(15);

/// What workers may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The program; its first argument is `render-worker`.
    pub program: PathBuf,
    /// How many there are at one time; 0 draws nothing.
    pub workers: usize,
    /// The address space of each, in bytes.
    pub memory: u64,
    /// How long a picture may take.
    pub time: Duration,
}

/// The workers. A clone is another handle.
#[derive(Debug, Clone)]
pub(super) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: Limits,
    places: Arc<Semaphore>,
    queue: Semaphore,
    idle: Mutex<Vec<Worker>>,
}

/// A process; it ends when this is dropped.
#[derive(Debug)]
struct Worker {
    input: ChildStdin,
    output: ChildStdout,
    since: Instant,
    child: Child,
}

/// Leave to use a worker.
pub(super) struct Place {
    pool: Pool,
    _permit: OwnedSemaphorePermit,
}

/// Whether a worker took all that it was given; one that did not is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fed {
    Whole,
    InPart,
}

/// Why feeding a worker came to an end.
enum Broken {
    Source(OutletError),
    Pipe,
}

impl Pool {
    pub(super) fn new(limits: Limits) -> Pool {
        Pool(Arc::new(Inner {
            places: Arc::new(Semaphore::new(limits.workers)),
            queue: Semaphore::new(limits.workers + WAITING),
            idle: Mutex::default(),
            limits,
        }))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a worker to be free.
    pub(super) async fn place(&self) -> Result<Place, PictureError> {
        if self.0.limits.workers == 0 {
            return Err(PictureError::Off);
        }
        let _waits = self.0.queue.try_acquire().map_err(|_| PictureError::Busy)?;
        let permit = Arc::clone(&self.0.places).acquire_owned().await.map_err(|_| PictureError::Off)?;
        Ok(Place { pool: self.clone(), _permit: permit })
    }

    /// One that has nothing to do and is alive, or a new one.
    fn worker(&self) -> Result<Worker, PictureError> {
        while let Some(mut spare) = self.idle().pop() {
            if matches!(spare.child.try_wait(), Ok(None)) {
                return Ok(spare);
            }
        }
        self.start()
    }

    /// Keeps a worker for the next who needs one, if it is good for that.
    fn keep(&self, mut worker: Worker, fed: Fed) {
        if fed == Fed::Whole {
            worker.since = Instant::now();
            self.idle().push(worker);
        }
    }

    fn start(&self) -> Result<Worker, PictureError> {
        let Limits { program, memory, time, .. } = &self.0.limits;
        let mut command = Command::new(program);
        command.arg("render-worker").arg("--memory").arg(memory.to_string());
        command.arg("--seconds").arg(time.as_secs().max(1).to_string());
        // What it says of strangers' bytes is for nobody.
        command.env_clear().current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.kill_on_drop(true).spawn().map_err(PictureError::Start)?;
        let none = || PictureError::Start(io::ErrorKind::BrokenPipe.into());
        let input = child.stdin.take().ok_or_else(none)?;
        let output = child.stdout.take().ok_or_else(none)?;
        Ok(Worker { input, output, since: Instant::now(), child })
    }

    /// Ends those that have had nothing to do for a while.
    pub(super) async fn tidy(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            self.idle().retain(|worker| worker.since.elapsed() < IDLE);
        }
    }
}

impl Place {
    /// Has a worker draw. One that fails in any way but by saying why is ended.
    pub(super) async fn draw(
        &self,
        syntax: &TransferSyntaxUid,
        ask: &Ask,
        data_set: &mut Departing,
    ) -> Result<Vec<u8>, PictureError> {
        let mut worker = self.pool.worker()?;
        let time = self.pool.0.limits.time;
        let drawing = tokio::time::timeout(time, worker.draw(syntax, ask, data_set));
        let ((kind, answer), fed) = drawing.await.map_err(|_| PictureError::Silent { seconds: time.as_secs() })??;
        self.pool.keep(worker, fed);
        match kind {
            PICTURE => Ok(answer),
            NO_FRAME => {
                let frames = answer.first_chunk().map_or(0, |&eight| u64::from_be_bytes(eight));
                Err(PictureError::NoFrame { frame: ask.frame, frames })
            }
            _ => Err(PictureError::Object { what: String::from_utf8_lossy(&answer).into_owned() }),
        }
    }

    /// Has a worker decode a whole data set. How long that takes depends on who takes it; but no frame may take longer than
    /// a picture may.
    pub(super) async fn decode(
        &self,
        syntax: &TransferSyntaxUid,
        how: Decode,
        data_set: &mut Departing,
        pieces: &mut Pieces,
    ) -> Result<Decoded, PictureError> {
        let mut worker = self.pool.worker()?;
        let time = self.pool.0.limits.time;
        let (decoded, fed) = worker.decode(syntax, how, data_set, pieces, time).await?;
        self.pool.keep(worker, fed);
        decoded
    }
}

/// What became of a data set.
pub(super) enum Decoded {
    /// All of it has come.
    Whole,
    /// It can be decoded, and its coded frames have so many bytes.
    Measured(u64),
}

impl Worker {
    /// What the worker says of it, or does not; the inner error is what it said.
    async fn decode(
        &mut self,
        syntax: &TransferSyntaxUid,
        how: Decode,
        data_set: &mut Departing,
        pieces: &mut Pieces,
        time: Duration,
    ) -> Result<(Result<Decoded, PictureError>, Fed), PictureError> {
        let request = Request { syntax: syntax.as_str().to_owned(), task: Task::Decode(how) };
        let answered = AtomicBool::new(false);
        let Worker { input, output, .. } = self;
        let answer = async {
            let ended = loop {
                let silent = |_| PictureError::Silent { seconds: time.as_secs() };
                let (kind, bytes) = tokio::time::timeout(time, answer(output)).await.map_err(silent)??;
                match kind {
                    ALIVE => {}
                    PIECE => pieces.push(&bytes).await.map_err(|_| PictureError::Died)?,
                    END => break Ok(Decoded::Whole),
                    MEASURED => {
                        let number = bytes.first_chunk().map(|&eight| u64::from_be_bytes(eight));
                        break Ok(Decoded::Measured(number.unwrap_or_default()));
                    }
                    REASON => break Err(PictureError::Object { what: String::from_utf8_lossy(&bytes).into_owned() }),
                    _ => return Err(PictureError::Nonsense { what: "a picture, unasked" }),
                }
            };
            answered.store(true, Ordering::Relaxed);
            Ok(ended)
        };
        tokio::try_join!(answer, fed(input, &request, data_set, &answered))
    }

    async fn draw(
        &mut self,
        syntax: &TransferSyntaxUid,
        ask: &Ask,
        data_set: &mut Departing,
    ) -> Result<((u8, Vec<u8>), Fed), PictureError> {
        let request = Request { syntax: syntax.as_str().to_owned(), task: Task::Draw(*ask) };
        let answered = AtomicBool::new(false);
        let answer = async {
            let answer = answer(&mut self.output).await;
            answered.store(true, Ordering::Relaxed);
            answer
        };
        tokio::try_join!(answer, fed(&mut self.input, &request, data_set, &answered))
    }
}

/// Gives the worker what it works on.
async fn fed(
    input: &mut ChildStdin,
    request: &Request,
    data_set: &mut Departing,
    answered: &AtomicBool,
) -> Result<Fed, PictureError> {
    let request = serde_json::to_vec(request).map_err(|error| PictureError::Start(error.into()))?;
    match feed(input, &request, data_set, answered).await {
        Ok(()) => Ok(Fed::Whole),
        Err(Broken::Source(error)) => Err(PictureError::Source(error)),
        // It has ended, or is about to: what it said before counts, and that it said nothing.
        Err(Broken::Pipe) => Ok(Fed::InPart),
    }
}

/// Gives the worker the data set, until it has answered.
async fn feed(
    input: &mut ChildStdin,
    request: &[u8],
    data_set: &mut Departing,
    answered: &AtomicBool,
) -> Result<(), Broken> {
    write(input, request).await?;
    while !answered.load(Ordering::Relaxed) {
        let Some(piece) = data_set.piece().await.map_err(Broken::Source)? else { break };
        if !piece.is_empty() {
            write(input, &piece).await?;
        }
    }
    write(input, &[]).await
}

async fn write(input: &mut ChildStdin, bytes: &[u8]) -> Result<(), Broken> {
    let length = u32::try_from(bytes.len()).map_err(|_| Broken::Pipe)?;
    input.write_all(&length.to_be_bytes()).await.map_err(|_| Broken::Pipe)?;
    input.write_all(bytes).await.map_err(|_| Broken::Pipe)
}

async fn answer(output: &mut ChildStdout) -> Result<(u8, Vec<u8>), PictureError> {
    let died = |_: io::Error| PictureError::Died;
    let kind = output.read_u8().await.map_err(died)?;
    let length = output.read_u32().await.map_err(died)?;
    if !matches!(kind, PICTURE | REASON | NO_FRAME | PIECE | ALIVE | MEASURED | END) {
        return Err(PictureError::Nonsense { what: "what is no answer" });
    }
    if length > LONGEST_ANSWER {
        return Err(PictureError::Nonsense { what: "more than a picture has" });
    }
    let mut bytes = Vec::new();
    let read = output.take(u64::from(length)).read_to_end(&mut bytes).await.map_err(died)?;
    if u64::try_from(read).ok() == Some(u64::from(length)) { Ok((kind, bytes)) } else { Err(PictureError::Died) }
}
