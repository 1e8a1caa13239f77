//! C-FIND: the answers one by one, as they come.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::operation::{Operation, Step};
use super::session::{Context, FOR_EVER};
use super::watch::Watch;
use super::{ScuError, Service, SourceSession, quirks};
use crate::dataset::Elements;
use crate::dicom::{QueryLevel, Status, tags};
use crate::dimse::{Command, CommandField};

const DOING: &str = "C-FIND";
/// The longest answer that is taken.
const LONGEST_ROW: usize = 1024 * 1024;

/// How a query ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindEnd {
    /// The final status, as it came; FE00 when a cancel was ignored.
    pub status: Status,
    /// How many answers came before it.
    pub rows: usize,
    /// Its Error Comment.
    pub comment: Option<String>,
    /// We cancelled it.
    pub cancelled: bool,
}

/// A running query. Dropped before its end, it leaves an association that takes no other operation.
pub struct Find<'a> {
    operation: Operation<'a>,
    rows: usize,
    end: Option<FindEnd>,
}

impl SourceSession {
    /// Asks. `keys` are matching and return keys; the level is set here, and a universal `*` becomes empty. The idle
    /// time starts again with every answer.
    pub async fn find<'a>(
        &'a mut self,
        level: QueryLevel,
        keys: &Elements,
        idle: Duration,
        cancel: &'a CancellationToken,
    ) -> Result<Find<'a>, ScuError> {
        let context = self.context(Service::Find)?;
        let identifier = identifier(level, keys).write(context.encoding);
        self.ask(context, &identifier, idle, cancel).await
    }

    /// Sends a query whose identifier is written already.
    pub(super) async fn ask<'a>(
        &'a mut self,
        context: Context,
        identifier: &[u8],
        idle: Duration,
        cancel: &'a CancellationToken,
    ) -> Result<Find<'a>, ScuError> {
        let request = Command::find_rq(0, context.class);
        let watch = Watch::new(cancel, idle, FOR_EVER, None);
        let operation = Operation::begin(self, DOING, context, request, identifier, watch).await?;
        Ok(Find { operation, rows: 0, end: None })
    }
}

fn identifier(level: QueryLevel, keys: &Elements) -> Elements {
    let mut identifier = keys.clone();
    for (tag, value) in keys.iter() {
        if quirks::is_universal(value) {
            identifier.put(tag, "");
        }
    }
    identifier.put(tags::QUERY_RETRIEVE_LEVEL, level.as_str());
    let beyond_ascii = keys.iter().any(|(_, value)| !value.is_ascii());
    if beyond_ascii && !keys.contains(tags::SPECIFIC_CHARACTER_SET) {
        identifier.put(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192");
    }
    identifier
}

impl Find<'_> {
    /// The next answer; `None` at the end. An answer without an identifier is an empty one. After a cancel no answer
    /// is handed out.
    pub async fn next(&mut self) -> Result<Option<Elements>, ScuError> {
        while self.end.is_none() {
            let Step::Got((_, response)) = self.operation.message().await? else {
                self.ignored();
                break;
            };
            if let Some(row) = self.response(response).await? {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// How the query ended; `None` before it has.
    pub fn end(&self) -> Option<&FindEnd> {
        self.end.as_ref()
    }

    async fn response(&mut self, response: Command) -> Result<Option<Elements>, ScuError> {
        let (CommandField::CFindRsp, Some(status)) = (response.field, response.status) else {
            return Err(self.operation.unexpected(format!("{:?} in answer", response.field)).await);
        };
        // A final response should have no identifier, but it is read wherever it is.
        let Step::Got(bytes) = self.operation.identifier(&response, LONGEST_ROW).await? else {
            self.ignored();
            return Ok(None);
        };
        let cancelled = self.operation.watch.is_cancelled();
        if !status.is_pending() {
            self.operation.source.done();
            self.end = Some(FindEnd { status, rows: self.rows, comment: response.comment, cancelled });
            return Ok(None);
        }
        if cancelled {
            return Ok(None);
        }
        self.rows += 1;
        // What can be read of an answer is an answer.
        let (row, _damage) = Elements::read_lenient(&bytes, self.operation.context.encoding);
        Ok(Some(row.with_default_charset(self.operation.source.target().default_charset.clone())))
    }

    fn ignored(&mut self) {
        self.end = Some(FindEnd { status: Status::CANCEL, rows: self.rows, comment: None, cancelled: true });
    }
}
