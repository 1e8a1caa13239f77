//! Messages on their way out: cut into fragments of even length, one to a PDU, as few writes as it takes.

use std::io::{self, IoSlice};
use std::time::Duration;

use super::LONGEST_SENT_PDU;
use super::connection::Connection;
use super::pdu::kind;

/// PDU header and PDV header.
const HEADERS: usize = 12;

/// The bytes of the PDV header in a PDU.
const PDV_HEADER: u32 = 6;

/// How many slices go into one system call; the system takes 1,024 at most.
const SLICES: usize = 512;

/// The longest fragment for a peer that takes PDUs of `max_pdu` bytes, 0 being no limit. Even: an odd fragment
/// makes some peers abort.
pub(super) fn fragment_length(max_pdu: u32) -> usize {
    let longest = if max_pdu == 0 { LONGEST_SENT_PDU } else { max_pdu.min(LONGEST_SENT_PDU) };
    (longest.saturating_sub(PDV_HEADER) as usize).max(2) & !1
}

/// PDUs that wait to be written, and the odd byte of a data set that waits for its neighbour.
#[derive(Debug)]
pub(super) struct Message {
    ready: Vec<u8>,
    odd: Option<u8>,
}

impl Message {
    pub(super) fn new() -> Self {
        Message { ready: Vec::new(), odd: None }
    }

    /// Appends the PDUs of a command set.
    pub(super) fn push(&mut self, context: u8, command: bool, bytes: &[u8], last: bool, longest: usize) {
        for (fragment, is_last) in fragments(bytes, longest) {
            let padding = fragment.len() % 2;
            self.ready.extend_from_slice(&headers(context, command, last && is_last, fragment.len() + padding));
            self.ready.extend_from_slice(fragment);
            self.ready.extend(std::iter::repeat_n(0, padding));
        }
    }

    /// Writes what is ready.
    pub(super) async fn write(&mut self, connection: &mut Connection, limit: Duration) -> io::Result<()> {
        connection.write(&mut [IoSlice::new(&self.ready)], limit).await?;
        self.ready.clear();
        Ok(())
    }

    /// Writes what is ready and the fragments of a piece of a data set. An odd byte at its end waits for the next
    /// piece; at the end of the data set it is padded.
    pub(super) async fn write_data(
        &mut self,
        connection: &mut Connection,
        context: u8,
        piece: &[u8],
        last: bool,
        longest: usize,
        limit: Duration,
    ) -> io::Result<()> {
        let before = self.odd.take();
        let length = piece.len() + usize::from(before.is_some());
        let mut piece = piece;
        if length % 2 == 1 && !last {
            match piece.split_last() {
                Some((odd, even)) => {
                    self.odd = Some(*odd);
                    piece = even;
                }
                // An empty piece: the byte that waits goes on waiting.
                None => {
                    self.odd = before;
                    return self.write(connection, limit).await;
                }
            }
        }
        // The byte that waited begins the first fragment, which takes so much less of the piece.
        let before: Vec<u8> = before.into_iter().collect();
        let first = piece.len().min(longest - before.len());
        let (first, rest) = piece.split_at(first);
        let mut plan: Vec<(&[u8], &[u8])> = Vec::new();
        if last || !first.is_empty() || !before.is_empty() {
            plan.push((&before, first));
        }
        plan.extend(rest.chunks(longest).map(|fragment| (&[][..], fragment)));
        let count = plan.len();
        let mut ready = std::mem::take(&mut self.ready);
        let mut planned = plan.into_iter().enumerate();
        loop {
            let batch: Vec<_> = planned.by_ref().take(SLICES / 4).collect();
            if batch.is_empty() && ready.is_empty() {
                return Ok(());
            }
            let heads: Vec<[u8; HEADERS]> = batch
                .iter()
                .map(|(at, (a, b))| {
                    headers(context, false, last && at + 1 == count, (a.len() + b.len()).next_multiple_of(2))
                })
                .collect();
            let mut slices = vec![IoSlice::new(&ready)];
            for ((_, (a, b)), head) in batch.iter().zip(&heads) {
                let padding: &[u8] = if (a.len() + b.len()) % 2 == 1 { &[0] } else { &[] };
                slices.extend([&head[..], a, b, padding].into_iter().filter(|s| !s.is_empty()).map(IoSlice::new));
            }
            connection.write(&mut slices, limit).await?;
            ready.clear();
        }
    }
}

/// Cuts, and says which is the last: one fragment at least, which may be empty.
fn fragments(bytes: &[u8], longest: usize) -> impl Iterator<Item = (&[u8], bool)> {
    let count = bytes.len().div_ceil(longest).max(1);
    (0..count).map(move |at| {
        let start = at * longest;
        let end = bytes.len().min(start + longest);
        (bytes.get(start..end).unwrap_or_default(), at + 1 == count)
    })
}

fn headers(context: u8, command: bool, last: bool, length: usize) -> [u8; HEADERS] {
    // A fragment has 128 KiB at most.
    let pdv = u32::try_from(length).unwrap_or(u32::MAX - PDV_HEADER) + 2;
    let [a, b, c, d] = (pdv + 4).to_be_bytes();
    let [e, f, g, h] = pdv.to_be_bytes();
    [kind::P_DATA, 0, a, b, c, d, e, f, g, h, context, u8::from(command) | u8::from(last) << 1]
}
