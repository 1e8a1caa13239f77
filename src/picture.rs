//! Pictures of frames: decoded, windowed, drawn as PNG or JPEG.
//!
//! What strangers sent is decoded by processes of their own, `pacsferry render-worker`, which are started when pictures
//! are asked for, may take so much memory and time and nothing else, and end when nobody asks any more. What goes wrong
//! in one of them costs one picture.

mod codec;
mod decode;
mod decoder;
mod draw;
mod frames;
mod grey;
mod palette;
mod pool;
mod protocol;
mod shape;
#[cfg(test)]
mod tests;
mod worker;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::catalog::HeldInstance;
use crate::outlet::{Outlet, OutletError};
#[doc(hidden)]
pub use codec::decode_anything;
pub use decoder::Decoder;
pub use pool::Limits;
use pool::Pool;
pub use worker::{WorkerError, work};

/// A picture whose worker ended within this time is drawn once more.
const AT_ONCE: Duration = Duration::from_secs(2);

/// What of an object is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// Which frame, from 1 on.
    pub frame: u64,
    /// The window, instead of that which the object names.
    pub window: Option<Window>,
    /// The part of the frame that is drawn: its first column and row, from 0 on, and how many of each.
    pub region: Option<[u32; 4]>,
    /// Columns and rows that the picture fits into; never larger than the frame.
    pub size: Option<(u16, u16)>,
    /// As what.
    pub form: Form,
    /// Of a JPEG, from 1 to 100.
    pub quality: u8,
}

/// A window of values, after rescaling (PS3.3 C.11.2.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Its middle.
    pub centre: f64,
    /// Its width: 1 or more where it is linear, and more than nothing in any case.
    pub width: f64,
    /// How values in it become shades.
    pub function: Function,
}

/// How values become shades (PS3.3 C.11.2.1.2 and C.11.2.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Function {
    /// In a line.
    Linear,
    /// In a line, without the half of a value that this one leaves at either end.
    LinearExact,
    /// In a curve.
    Sigmoid,
}

/// What a picture is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// PNG, eight bits.
    Png,
    /// JPEG baseline.
    Jpeg,
    /// No picture: columns, rows and samples per pixel as 32-bit numbers, then each stored value as one, Little Endian.
    Values,
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The file.
    pub bytes: Vec<u8>,
    /// As what it was written.
    pub form: Form,
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The object, as it is, cannot be drawn.
    #[error("it cannot be drawn: {what}")]
    Object {
        /// What is wrong with it, or not known here.
        what: String,
    },
    /// There is no such frame.
    #[error("there is no frame {frame}: it has {frames}")]
    NoFrame {
        /// What was asked for.
        frame: u64,
        /// What there is.
        frames: u64,
    },
    /// The object cannot be read.
    #[error("it cannot be read")]
    Source(#[from] OutletError),
    /// The worker ended in the middle of it: too much memory, too much time, or a mistake of a decoder.
    #[error("the process that drew it ended: its pixel data are damaged, or need more memory or time than allowed")]
    Died,
    /// The worker did not answer in time.
    #[error("the process that drew it did not answer within {seconds} s, and was ended")]
    Silent {
        /// How long it was waited for.
        seconds: u64,
    },
    /// The worker answered what no worker answers.
    #[error("the process that drew it answered {what}, and was ended")]
    Nonsense {
        /// What it said.
        what: &'static str,
    },
    /// No worker can be started.
    #[error("the process that draws pictures cannot be started")]
    Start(#[source] std::io::Error),
    /// Too many wait already.
    #[error("too many pictures are waited for at this moment")]
    Busy,
    /// Pictures are switched off.
    #[error("pictures are switched off here")]
    Off,
}

impl PictureError {
    /// Whether it is so the next time as well, as far as one can tell.
    pub fn lasts(&self) -> bool {
        match self {
            PictureError::Object { .. }
            | PictureError::NoFrame { .. }
            | PictureError::Died
            | PictureError::Nonsense { .. }
            | PictureError::Off => true,
            PictureError::Source(_) | PictureError::Silent { .. } | PictureError::Start(_) | PictureError::Busy => {
                false
            }
        }
    }

    /// What can be done about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            PictureError::Object { .. } | PictureError::Died | PictureError::Nonsense { .. } => {
                "the object itself is kept and sent as it came; look at it with another viewer"
            }
            PictureError::NoFrame { .. } => "ask for a frame that there is",
            PictureError::Source(error) => error.remedy(),
            PictureError::Silent { .. } | PictureError::Busy => "try again in a while",
            PictureError::Start(_) => "look whether the program file is in its place and may be run",
            PictureError::Off => "set `workers` of [pictures] in the configuration",
        }
    }
}

impl Form {
    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Form::Png => "image/png",
            Form::Jpeg => "image/jpeg",
            Form::Values => "application/octet-stream",
        }
    }
}

/// Draws pictures of what is held. A clone is another handle.
#[derive(Debug, Clone)]
pub struct Pictures {
    outlet: Outlet,
    pool: Pool,
}

impl Pictures {
    /// With workers that are this very program, and so many of them.
    pub fn new(outlet: Outlet, limits: Limits) -> Pictures {
        Pictures { outlet, pool: Pool::new(limits) }
    }

    /// A picture of a frame of an object as it leaves, with its corrections.
    pub async fn frame(&self, object: &HeldInstance, ask: &Ask) -> Result<Picture, PictureError> {
        // Before anything is read: who has to wait longer than others do is told at once.
        let place = self.pool.place().await?;
        let begun = Instant::now();
        let mut again = true;
        loop {
            let mut departing = self.outlet.open(object.clone(), &object.transfer_syntax);
            departing.begin().await?;
            match place.draw(&object.transfer_syntax, ask, &mut departing).await {
                // It need not be the fault of the object: the system ends processes when memory runs out.
                Err(PictureError::Died) if again && begun.elapsed() < AT_ONCE => again = false,
                drawn => return drawn.map(|bytes| Picture { bytes, form: ask.form }),
            }
        }
    }

    /// Ends workers that nobody needs any more, from time to time; for as long as pictures may be asked for.
    pub async fn tidy(&self) {
        self.pool.tidy().await;
    }
}
