//! One body, from its first byte to its verdict.

use tokio::sync::OwnedSemaphorePermit;

use super::coding::{CodingError, Decoding};
use super::{Fault, Scanner, Session, Subject, Verdict};

/// A body that is being examined. Dropped before its end, the scanner learns that it is over by the closed connection.
pub struct Examination {
    decoding: Decoding,
    session: Session,
    max_bytes: u64,
    _place: OwnedSemaphorePermit,
}

impl Examination {
    /// Begins one. `codings`: the fields of `Content-Encoding`; `max_bytes`: the most that is scanned, decoded.
    /// `Ok(Err(…))`: the verdict is clear before the scanner is asked.
    pub async fn begin<'a>(
        scanner: &Scanner,
        subject: &Subject,
        codings: impl Iterator<Item = &'a str>,
        max_bytes: u64,
    ) -> Result<Result<Self, Verdict>, Fault> {
        let decoding = match Decoding::new(codings, scanner.limits.coding) {
            Ok(decoding) => decoding,
            Err(error) => return Ok(Err(of_coding(error))),
        };
        let place = scanner.place().await?;
        let session = scanner.open(subject).await?;
        Ok(Ok(Examination { decoding, session, max_bytes, _place: place }))
    }

    /// The next bytes of the body. `Some`: no more of it is needed.
    pub async fn take(&mut self, mut bytes: &[u8]) -> Result<Option<Verdict>, Fault> {
        loop {
            let piece = match self.decoding.next(&mut bytes) {
                Ok(Some(piece)) => piece,
                Ok(None) => return Ok(None),
                Err(error) => return Ok(Some(of_coding(error))),
            };
            if let Some(verdict) = self.session.feed(piece).await? {
                return Ok(Some(verdict));
            }
            if self.decoding.written() > self.max_bytes {
                return Ok(Some(Verdict::OverLimit));
            }
        }
    }

    /// There is no more of it.
    pub async fn finish(self) -> Result<Verdict, Fault> {
        self.session.finish().await
    }
}

fn of_coding(error: CodingError) -> Verdict {
    match error {
        CodingError::Unknown | CodingError::Broken => Verdict::Undecodable,
        CodingError::TooDeep | CodingError::Ratio | CodingError::Time => Verdict::Bomb,
    }
}
