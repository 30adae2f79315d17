//! A body on its way through an examination: held whole, or streaming with its tail held back.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;

use super::finding::Refused;
use super::plan::Plan;
use crate::gateway::body::{BodyError, Paced};
use crate::scan::{Examination, Fault, Verdict};
use crate::tasks;

/// A body of this size is held whole, so that its page can name what was found.
const HOLD: usize = 1024 * 1024;
/// Of a larger one so much is never passed on before the verdict: an archive has its directory there, a program its end.
const TAIL: usize = 64 * 1024;
/// All bodies together may be held whole as long as they fit in here; then they stream from their first byte.
const HOLD_ALL: usize = 64 * 1024 * 1024;

/// A body that was held whole, or comes from the task that examines it.
pub enum Examined {
    Whole { frames: VecDeque<Frame<Bytes>>, _share: Share },
    Streaming { pieces: mpsc::Receiver<Piece>, hint: SizeHint, ended: bool },
}

/// What the task hands on.
pub enum Piece {
    Frame(Frame<Bytes>),
    /// Nothing follows.
    Last(Frame<Bytes>),
    Broken(BodyError),
}

impl Examined {
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self {
            Examined::Whole { frames, .. } => Poll::Ready(frames.pop_front().map(Ok)),
            Examined::Streaming { pieces, ended, .. } => pieces.poll_recv(cx).map(|piece| match piece {
                Some(Piece::Frame(frame)) => Some(Ok(frame)),
                Some(Piece::Last(frame)) => {
                    *ended = true;
                    Some(Ok(frame))
                }
                Some(Piece::Broken(error)) => Some(Err(error)),
                None => None,
            }),
        }
    }

    pub fn is_end_stream(&self) -> bool {
        match self {
            Examined::Whole { frames, .. } => frames.is_empty(),
            Examined::Streaming { ended, .. } => *ended,
        }
    }

    pub fn size_hint(&self) -> SizeHint {
        match self {
            Examined::Whole { frames, .. } => {
                let left = frames.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum();
                SizeHint::with_exact(left)
            }
            Examined::Streaming { hint, .. } => hint.clone(),
        }
    }
}

/// A body's part of [`HOLD_ALL`].
#[derive(Debug, Default)]
pub struct Share(usize);

static HELD: AtomicUsize = AtomicUsize::new(0);

impl Share {
    /// So many bytes more; `false`: there is no room, and nothing was taken.
    fn grow(&mut self, bytes: usize) -> bool {
        let taken = HELD.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            held.checked_add(bytes).filter(|held| *held <= HOLD_ALL)
        });
        if taken.is_ok() {
            self.0 += bytes;
        }
        taken.is_ok()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        HELD.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// Why there is no body to pass on.
pub enum NoBody {
    Refused(Refused),
    Broken(BodyError),
}

/// Reads a body until it is whole or too large to be held, and has it examined. What passes is told to `plan` at once where
/// it was held, at the end where it streams.
pub async fn examine(plan: Arc<Plan>, mut body: Paced) -> Result<Examined, NoBody> {
    let hint = body.size_hint();
    let (mut held, mut size, mut share) = (VecDeque::new(), 0, Share::default());
    let is_whole = loop {
        match poll_fn(|cx| body.poll_frame(cx)).await {
            None => break true,
            Some(Err(error)) => return Err(NoBody::Broken(error)),
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                let has_room = share.grow(bytes);
                size += bytes;
                held.push_back(frame);
                if size > HOLD || !has_room {
                    break false;
                }
            }
        }
    };
    if is_whole {
        let verdict = examine_whole(&plan, &held).await;
        let passed = plan.settle(verdict).map_err(NoBody::Refused)?;
        plan.passed(&passed);
        return Ok(Examined::Whole { frames: held, _share: share });
    }
    let examination = match plan.begin().await {
        Ok(Ok(examination)) => Some(Box::new(examination)),
        other => {
            // Nothing of it has been passed on: a page can still say why.
            let verdict = other.and_then(|begun| begun.map_or_else(Ok, |_| Err(Fault::HungUp)));
            let passed = plan.settle(verdict).map_err(NoBody::Refused)?;
            plan.passed(&passed);
            None
        }
    };
    let (to, pieces) = mpsc::channel(1);
    let streaming = Streaming { plan, body, examination, held: VecDeque::new(), size: 0, to };
    tasks::spawn("examination", streaming.run(held, share));
    Ok(Examined::Streaming { pieces, hint, ended: false })
}

async fn examine_whole(plan: &Plan, held: &VecDeque<Frame<Bytes>>) -> Result<Verdict, Fault> {
    let mut examination = match plan.begin().await? {
        Ok(examination) => examination,
        Err(verdict) => return Ok(verdict),
    };
    for data in held.iter().filter_map(Frame::data_ref) {
        if let Some(verdict) = examination.take(data).await? {
            return Ok(verdict);
        }
    }
    examination.finish().await
}

/// A body too large to be held, in a task of its own.
struct Streaming {
    plan: Arc<Plan>,
    body: Paced,
    /// `None`: it passes as it comes.
    examination: Option<Box<Examination>>,
    /// What was examined and not handed on.
    held: VecDeque<Frame<Bytes>>,
    size: usize,
    to: mpsc::Sender<Piece>,
}

impl Streaming {
    async fn run(mut self, begun: VecDeque<Frame<Bytes>>, share: Share) {
        if let Err(broken) = self.through(begun, share).await {
            // Whoever was to hear of it may have left.
            let _ = self.to.send(Piece::Broken(broken)).await;
        }
    }

    async fn through(&mut self, begun: VecDeque<Frame<Bytes>>, share: Share) -> Result<(), BodyError> {
        for frame in begun {
            self.take(frame).await?;
        }
        drop(share);
        while let Some(frame) = poll_fn(|cx| self.body.poll_frame(cx)).await {
            self.take(frame?).await?;
        }
        if let Some(examination) = self.examination.take() {
            self.settle(examination.finish().await)?;
        }
        while let Some(frame) = self.held.pop_front() {
            let is_last = self.held.is_empty();
            self.hand_on(if is_last { Piece::Last(frame) } else { Piece::Frame(frame) }).await?;
        }
        Ok(())
    }

    /// Examines one more frame, and hands on what may go.
    async fn take(&mut self, frame: Frame<Bytes>) -> Result<(), BodyError> {
        if let (Some(data), Some(examination)) = (frame.data_ref(), &mut self.examination) {
            match examination.take(data).await {
                Ok(None) => {}
                Ok(Some(verdict)) => self.settle(Ok(verdict))?,
                Err(fault) => self.settle(Err(fault))?,
            }
        }
        self.size += frame.data_ref().map_or(0, Bytes::len);
        self.held.push_back(frame);
        let keep = if self.examination.is_some() { TAIL } else { 0 };
        // The last one waits in any case: it is to be told from the others.
        while self.held.len() > 1 {
            let first = self.held.front().and_then(Frame::data_ref).map_or(0, Bytes::len);
            if self.size - first < keep {
                break;
            }
            self.size -= first;
            if let Some(frame) = self.held.pop_front() {
                self.hand_on(Piece::Frame(frame)).await?;
            }
        }
        Ok(())
    }

    async fn hand_on(&self, piece: Piece) -> Result<(), BodyError> {
        self.to.send(piece).await.map_err(|_| BodyError::Left)
    }

    /// It is not examined any further: it passes, or breaks off.
    fn settle(&mut self, verdict: Result<Verdict, Fault>) -> Result<(), BodyError> {
        self.examination = None;
        match self.plan.settle(verdict) {
            Ok(passed) => {
                self.plan.passed(&passed);
                Ok(())
            }
            Err(refused) => {
                self.plan.refused_midway(&refused);
                Err(BodyError::Refused(refused))
            }
        }
    }
}
