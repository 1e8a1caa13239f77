//! The one thread that writes: it runs what is queued in shared transactions.

use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::DbError;
use super::courtesy::Courtesy;

/// Writes that may wait, and the most that share a commit.
const QUEUE: usize = 64;

/// A queued write.
trait Work: Send {
    /// Writes inside the transaction; the error, if what it wrote shall not stay.
    fn run(&mut self, transaction: &Transaction<'_>) -> Result<(), DbError>;
    /// Answers the caller once it is known what became of the transaction.
    fn answer(self: Box<Self>, committed: Result<(), DbError>);
}

struct Queued<T, F, D> {
    work: Option<F>,
    result: Option<Result<T, DbError>>,
    done: D,
}

impl<T, F, D> Work for Queued<T, F, D>
where
    T: Send,
    F: FnOnce(&Transaction<'_>) -> Result<T, DbError> + Send,
    D: FnOnce(Result<T, DbError>) + Send,
{
    fn run(&mut self, transaction: &Transaction<'_>) -> Result<(), DbError> {
        let Some(work) = self.work.take() else { return Err(DbError::Stopped) };
        let result = work(transaction);
        let outcome = result.as_ref().map(|_| ()).map_err(DbError::clone);
        self.result = Some(result);
        outcome
    }

    fn answer(self: Box<Self>, committed: Result<(), DbError>) {
        let answer = match (self.result, committed) {
            (Some(Err(own)), _) => Err(own),
            (_, Err(error)) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(DbError::Stopped),
        };
        (self.done)(answer);
    }
}

pub(super) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Work>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(connection: Connection, courtesy: Courtesy) -> Result<Self, DbError> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("catalog-writer".into())
            .spawn(move || run(connection, receiver, &courtesy))
            .map_err(|e| DbError::file("could not start the thread that writes", "catalog".as_ref(), e))?;
        Ok(Writer { queue: Some(sender), thread: Mutex::new(Some(thread)) })
    }

    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, DbError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, DbError> + Send + 'static,
    {
        let (caller, receiver) = oneshot::channel();
        // A caller that has gone away does not want to know.
        let done = |answer| drop(caller.send(answer));
        let work = Box::new(Queued { work: Some(work), result: None, done });
        let queue = self.queue.as_ref().ok_or(DbError::Stopped)?;
        queue.send(work).await.map_err(|_| DbError::Stopped)?;
        receiver.await.map_err(|_| DbError::Stopped)?
    }

    pub(super) async fn write_then<T, F, D>(&self, work: F, done: D) -> Result<(), DbError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, DbError> + Send + 'static,
        D: FnOnce(Result<T, DbError>) + Send + 'static,
    {
        let queue = self.queue.as_ref().ok_or(DbError::Stopped)?;
        queue.send(Box::new(Queued { work: Some(work), result: None, done })).await.map_err(|_| DbError::Stopped)
    }
}

impl Drop for Writer {
    /// Closing the queue lets the thread write what is in it and end.
    fn drop(&mut self) {
        self.queue = None;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes the catalog has panicked");
        }
    }
}

/// A panic here is a fault of ours inside a transaction: the process ends, and its successor goes on from what is
/// committed.
struct PanicEndsTheProcess;

impl Drop for PanicEndsTheProcess {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("the thread that writes the catalog has panicked; the process ends");
            std::process::abort();
        }
    }
}

fn run(mut connection: Connection, mut queue: mpsc::Receiver<Box<dyn Work>>, courtesy: &Courtesy) {
    let _guard = PanicEndsTheProcess;
    let mut batch = Vec::with_capacity(QUEUE);
    while let Some(first) = queue.blocking_recv() {
        batch.push(first);
        while batch.len() < QUEUE
            && let Ok(next) = queue.try_recv()
        {
            batch.push(next);
        }
        commit(&mut connection, &mut batch, courtesy);
    }
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, "the catalog could not be closed");
    }
}

fn commit(connection: &mut Connection, batch: &mut Vec<Box<dyn Work>>, courtesy: &Courtesy) {
    courtesy.give_way();
    let committed = transact(connection, batch, courtesy);
    courtesy.begun();
    for work in batch.drain(..) {
        work.answer(committed.clone());
    }
}

/// Runs a batch in one transaction. Each write has a savepoint of its own, so that one that fails takes nothing with
/// it; some faults (a full disk) end the transaction all the same, and then they are everybody's.
fn transact(connection: &mut Connection, batch: &mut [Box<dyn Work>], courtesy: &Courtesy) -> Result<(), DbError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    courtesy.begun();
    if let [alone] = batch {
        return match alone.run(&transaction) {
            Ok(()) => Ok(transaction.commit()?),
            Err(_) => Ok(transaction.rollback()?),
        };
    }
    for work in batch {
        transaction.prepare_cached("SAVEPOINT one")?.execute([])?;
        if let Err(error) = work.run(&transaction) {
            if transaction.is_autocommit() {
                return Err(error);
            }
            transaction.prepare_cached("ROLLBACK TO one")?.execute([])?;
        }
        transaction.prepare_cached("RELEASE one")?.execute([])?;
    }
    Ok(transaction.commit()?)
}
