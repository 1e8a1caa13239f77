//! A file on its way to a browser, a piece at a time.

use std::fs::File;
use std::io::{self, Read, Seek};

use axum::body::{Body, Bytes};
use futures_util::stream;

const PIECE: usize = 64 * 1024;

/// A body of what a file holds, from its beginning.
pub(super) fn of(mut file: File) -> io::Result<Body> {
    file.rewind()?;
    Ok(Body::from_stream(stream::try_unfold(file, |mut file| async move {
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; PIECE];
            let n = file.read(&mut piece)?;
            piece.truncate(n);
            io::Result::Ok((piece, file))
        });
        let (piece, file) = read.await.map_err(io::Error::other)??;
        Ok::<_, io::Error>((!piece.is_empty()).then(|| (Bytes::from(piece), file)))
    })))
}
