//! Objects on their way out to who takes nothing but native ones.

use futures_util::future::BoxFuture;

use super::PictureError;
use super::pool::{Decoded, Limits, Pool};
use super::protocol::Decode;
use crate::catalog::HeldInstance;
use crate::dicom::TransferSyntaxUid;
use crate::outlet::{Decodes, Outlet, OutletError, Pieces};

/// Decodes what leaves, by workers of its own: pictures wait for none of these. A clone is another handle.
#[derive(Debug, Clone)]
pub struct Decoder(Pool);

impl Decoder {
    /// With workers that are this very program, and so many of them; `None` where there are to be none.
    pub fn new(limits: Limits) -> Option<Decoder> {
        (limits.workers > 0).then(|| Decoder(Pool::new(limits)))
    }

    /// Ends workers that nobody needs any more, from time to time.
    pub async fn tidy(&self) {
        self.0.tidy().await;
    }

    /// What is wrong with an instance is known before its first piece.
    async fn run(
        &self,
        outlet: &Outlet,
        instance: &HeldInstance,
        to: &TransferSyntaxUid,
        pieces: &mut Pieces,
    ) -> Result<(), PictureError> {
        let place = self.0.place().await?;
        let mut coded = None;
        loop {
            let mut stored = outlet.open(instance.clone(), &instance.transfer_syntax);
            stored.begin().await?;
            let how = Decode { to: to.as_str().to_owned(), coded };
            match place.decode(&instance.transfer_syntax, how, &mut stored, pieces).await? {
                Decoded::Whole => return Ok(()),
                Decoded::Measured(bytes) => coded = Some(bytes),
            }
        }
    }
}

impl Decodes for Decoder {
    fn decode(
        &self,
        outlet: Outlet,
        instance: HeldInstance,
        to: TransferSyntaxUid,
        mut pieces: Pieces,
    ) -> BoxFuture<'static, ()> {
        let decoder = self.clone();
        Box::pin(async move {
            let gone = pieces.gone();
            let ended = tokio::select! {
                ended = decoder.run(&outlet, &instance, &to, &mut pieces) => ended,
                () = gone => return,
            };
            let failed = |error: PictureError| match error {
                PictureError::Source(error) => error,
                error => OutletError::Decode {
                    instance: instance.instance.clone(),
                    from: instance.transfer_syntax.clone(),
                    to: to.clone(),
                    source: Box::new(error),
                },
            };
            pieces.end(ended.map_err(failed)).await;
        })
    }
}
