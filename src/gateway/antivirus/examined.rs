//! A body on its way through an examination: held whole, or streaming with its tail held back.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
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

/// A frame below this is joined with its neighbours, up to this.
const SMALL: usize = 4 * 1024;
const JOINED: usize = 16 * 1024;

/// A body that was held whole, or comes from the task that examines it.
pub enum Examined {
    Whole { frames: VecDeque<Frame<Bytes>>, hint: SizeHint, _share: Share },
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

    /// What the sender said of the whole: where that was nothing, trailers may follow.
    pub fn size_hint(&self) -> SizeHint {
        match self {
            Examined::Whole { hint, .. } | Examined::Streaming { hint, .. } => *hint,
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

/// What was read of a body. Small pieces are joined: each has its price, and a sender may make as many as it likes.
#[derive(Default)]
struct Held {
    frames: VecDeque<Frame<Bytes>>,
    small: BytesMut,
    size: usize,
    share: Share,
}

impl Held {
    /// One more frame. `false`: no more is to be held.
    fn push(&mut self, frame: Frame<Bytes>) -> bool {
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(trailers) => {
                self.join();
                self.frames.push_back(trailers);
                return true;
            }
        };
        let has_room = self.share.grow(data.len());
        self.size += data.len();
        if data.len() < SMALL {
            self.small.extend_from_slice(&data);
        } else {
            self.join();
            self.frames.push_back(Frame::data(data));
        }
        if self.small.len() >= JOINED {
            self.join();
        }
        has_room && self.size <= HOLD
    }

    fn join(&mut self) {
        if !self.small.is_empty() {
            self.frames.push_back(Frame::data(self.small.split().freeze()));
        }
    }
}

/// Reads a body until it is whole or too large to be held, and has it examined. What passes is told to `plan` at once where
/// it was held, at the end where it streams.
pub async fn examine(plan: Arc<Plan>, mut body: Paced) -> Result<Examined, NoBody> {
    let (hint, mut held) = (body.size_hint(), Held::default());
    let is_whole = loop {
        match poll_fn(|cx| body.poll_frame(cx)).await {
            None => break true,
            Some(Err(error)) => return Err(NoBody::Broken(error)),
            Some(Ok(frame)) => {
                if !held.push(frame) {
                    break false;
                }
            }
        }
    };
    held.join();
    let Held { frames, size, share, .. } = held;
    // Nothing of it has been passed on: a page can still say what is found so far.
    let examination = match examine_held(&plan, &frames, is_whole).await {
        Ok(Known::NotYet(examination)) => Some(examination),
        other => {
            let verdict = other.and_then(|known| match known {
                Known::Verdict(verdict) => Ok(verdict),
                Known::NotYet(_) => Err(Fault::HungUp),
            });
            let passed = plan.settle(verdict).map_err(NoBody::Refused)?;
            plan.passed(&passed);
            None
        }
    };
    if is_whole {
        return Ok(Examined::Whole { frames, hint, _share: share });
    }
    let (to, pieces) = mpsc::channel(1);
    let streaming = Streaming { plan, body, examination, held: frames, size, to };
    tasks::spawn("examination", streaming.run(share));
    Ok(Examined::Streaming { pieces, hint, ended: false })
}

/// How far an examination has come.
enum Known {
    Verdict(Verdict),
    NotYet(Box<Examination>),
}

async fn examine_held(plan: &Plan, held: &VecDeque<Frame<Bytes>>, is_whole: bool) -> Result<Known, Fault> {
    let mut examination = match plan.begin().await? {
        Ok(examination) => examination,
        Err(verdict) => return Ok(Known::Verdict(verdict)),
    };
    for data in held.iter().filter_map(Frame::data_ref) {
        if let Some(verdict) = examination.take(data).await? {
            return Ok(Known::Verdict(verdict));
        }
    }
    match is_whole {
        true => examination.finish().await.map(Known::Verdict),
        false => Ok(Known::NotYet(Box::new(examination))),
    }
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
    async fn run(mut self, share: Share) {
        if let Err(broken) = self.through(share).await {
            // Whoever was to hear of it may have left.
            let _ = self.to.send(Piece::Broken(broken)).await;
        }
    }

    async fn through(&mut self, share: Share) -> Result<(), BodyError> {
        self.hand_on_what_may_go().await?;
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

    /// Examines one more frame.
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
        self.hand_on_what_may_go().await
    }

    async fn hand_on_what_may_go(&mut self) -> Result<(), BodyError> {
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
