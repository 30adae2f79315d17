//! Datagrams moved unseen between a client and its origin.
//!
//! A client has no socket of its own here: all come in by one door, whoever reads there hands them to their
//! [`DatagramRelay`], which sends them on at once or not at all. So nothing waits in a queue but the first few, while an
//! origin is being looked for.

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::{Counts, RelayEnd};
use crate::policy::RelayPermit;

/// What may wait for its origin: a browser's two first packets, those sent again, and early data behind them.
const WAITING_MAX_BYTES: usize = 16 * 1024;
const WAITING_MAX: usize = 16;
/// The longest datagram there is.
const DATAGRAM_MAX: usize = 65_535;

thread_local! {
    /// Where origins' datagrams are read into: a flow holds no buffer.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; DATAGRAM_MAX]);
}

/// Datagrams of one flow that are moved before others have their turn.
const TURN: usize = 64;

/// One flow, from before its origin is known until it is over.
#[derive(Debug, Default)]
pub struct DatagramRelay {
    state: Mutex<State>,
    /// Somebody else than the one who runs it has ended it.
    ended: Notify,
}

#[derive(Debug)]
enum State {
    Waiting(Vec<Bytes>),
    Open {
        origin: Arc<UdpSocket>,
        counts: Arc<Counts>,
        moved: Instant,
    },
    /// Nothing passes any more.
    Over {
        end: RelayEnd,
        unheard: bool,
    },
}

impl Default for State {
    fn default() -> Self {
        State::Waiting(Vec::new())
    }
}

/// What became of a client's datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handed {
    /// It is on its way, waits, or is lost for want of room, as on any network.
    On,
    /// The flow is over.
    Over {
        /// No origin was reached, or none said anything: whoever waits for it is to be told.
        unheard: bool,
    },
}

impl DatagramRelay {
    /// Hands on a datagram of the client.
    pub fn hand(&self, datagram: &[u8]) -> Handed {
        let mut state = self.state();
        match &mut *state {
            State::Waiting(waiting) => {
                let held: usize = waiting.iter().map(Bytes::len).sum();
                if waiting.len() < WAITING_MAX && held + datagram.len() <= WAITING_MAX_BYTES {
                    waiting.push(Bytes::copy_from_slice(datagram));
                }
                Handed::On
            }
            State::Open { origin, counts, moved } => {
                *moved = Instant::now();
                let Err(kind) = send(origin, counts, datagram) else { return Handed::On };
                let unheard = counts.down() == 0;
                *state = State::Over { end: RelayEnd::Origin(kind), unheard };
                self.ended.notify_one();
                Handed::Over { unheard }
            }
            State::Over { unheard, .. } => Handed::Over { unheard: *unheard },
        }
    }

    /// Ends it, if nobody has: nothing passes from now on, and the client is to be told so where it is `unheard`.
    pub fn end(&self, end: RelayEnd, unheard: bool) {
        let mut state = self.state();
        if !matches!(*state, State::Over { .. }) {
            *state = State::Over { end, unheard };
        }
        self.ended.notify_one();
    }

    /// What the client's next datagram would be answered with, once it is over.
    pub fn over(&self) -> Option<Handed> {
        match *self.state() {
            State::Over { unheard, .. } => Some(Handed::Over { unheard }),
            State::Waiting(_) | State::Open { .. } => None,
        }
    }

    /// Sends what waited, and brings the client what its origin says, by `to_client`, until the flow is idle for so long,
    /// its origin says that nobody is there, or somebody ended it.
    pub async fn run(
        &self,
        _permit: RelayPermit,
        origin: UdpSocket,
        counts: &Arc<Counts>,
        idle: Duration,
        mut to_client: impl FnMut(&[u8]) -> bool,
    ) -> RelayEnd {
        let origin = Arc::new(origin);
        // A new socket is not known to be ready before the runtime has looked.
        let is_ready = origin.writable().await;
        if let Err(end) =
            is_ready.map_err(|error| RelayEnd::Origin(error.kind())).and_then(|()| self.open(&origin, counts))
        {
            self.end(end, true);
            return end;
        }
        let mut until = Instant::now() + idle;
        loop {
            let came = tokio::select! {
                came = origin.ready(Interest::READABLE | Interest::ERROR) => {
                    came.and_then(|_| word_of_its_machine(&origin)).and_then(|()| drain(&origin, counts, &mut to_client))
                }
                () = self.ended.notified() => Ok(0),
                () = sleep_until(until) => Ok(0),
            };
            if let Err(error) = &came {
                self.end(RelayEnd::Origin(error.kind()), counts.down() == 0);
            }
            match self.last_moved(came.is_ok_and(|n| n > 0)) {
                Ok(moved) => until = moved + idle,
                Err(end) => return end,
            }
            if until <= Instant::now() {
                self.end(RelayEnd::Idle, false);
            }
        }
    }

    /// # Errors
    /// It was ended before, or its origin is not there.
    fn open(&self, origin: &Arc<UdpSocket>, counts: &Arc<Counts>) -> Result<(), RelayEnd> {
        let mut state = self.state();
        let waiting = match &mut *state {
            State::Waiting(waiting) => std::mem::take(waiting),
            State::Open { .. } => Vec::new(),
            State::Over { end, .. } => return Err(*end),
        };
        for datagram in waiting {
            send(origin, counts, &datagram).map_err(RelayEnd::Origin)?;
        }
        *state = State::Open { origin: origin.clone(), counts: counts.clone(), moved: Instant::now() };
        Ok(())
    }

    /// When something moved the last time: `now`, or as was noted. The end, once there is one.
    fn last_moved(&self, now: bool) -> Result<Instant, RelayEnd> {
        match &mut *self.state() {
            State::Open { moved, .. } => {
                if now {
                    *moved = Instant::now();
                }
                Ok(*moved)
            }
            State::Over { end, .. } => Err(*end),
            State::Waiting(_) => Ok(Instant::now()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What is inside is whole whoever panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without waiting: a datagram for which the kernel has no room, or that is too long for the way, is lost.
///
/// # Errors
/// The origin's machine has said of an earlier one that nobody takes it.
fn send(origin: &UdpSocket, counts: &Counts, datagram: &[u8]) -> Result<(), io::ErrorKind> {
    match origin.try_send(datagram) {
        Ok(_) => counts.add_up(datagram.len() as u64),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Err(error.kind()),
        Err(_) => {}
    }
    Ok(())
}

/// # Errors
/// The origin's machine has said that nobody takes our datagrams there (ICMP).
fn word_of_its_machine(origin: &UdpSocket) -> io::Result<()> {
    let word = origin.try_io(Interest::ERROR, || match origin.take_error()? {
        Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(error),
        // One datagram was too long for the way, say: the next may not be.
        _ => Err(io::ErrorKind::WouldBlock.into()),
    });
    word.map_or(Ok(()), Err)
}

/// What is there, as far as it fits into one turn; says how many there were.
fn drain(origin: &UdpSocket, counts: &Counts, to_client: &mut impl FnMut(&[u8]) -> bool) -> io::Result<usize> {
    BUFFER.with_borrow_mut(|buffer| {
        for n in 0..TURN {
            match origin.try_recv(buffer) {
                Ok(n) => {
                    if to_client(&buffer[..n]) {
                        counts.add_down(n as u64);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(n),
                Err(error) => return Err(error),
            }
        }
        Ok(TURN)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_millis(150);

    async fn socket() -> UdpSocket {
        UdpSocket::bind("127.0.0.1:0").await.unwrap()
    }

    /// A socket of ours that is connected to `peer`.
    async fn towards(peer: &UdpSocket) -> UdpSocket {
        let ours = socket().await;
        ours.connect(peer.local_addr().unwrap()).await.unwrap();
        ours
    }

    async fn hear(socket: &UdpSocket) -> Vec<u8> {
        let mut heard = vec![0; 2000];
        let (n, _) = socket.recv_from(&mut heard).await.unwrap();
        heard.truncate(n);
        heard
    }

    #[tokio::test]
    async fn what_waited_goes_first_and_both_ways_are_counted_to_the_byte() {
        let origin = socket().await;
        let (relay, counts) = (Arc::new(DatagramRelay::default()), Arc::<Counts>::default());
        assert_eq!(relay.hand(b"first"), Handed::On);
        let (said, mut told) = tokio::sync::mpsc::channel(8);
        let running = {
            let (relay, counts, ours) = (relay.clone(), counts.clone(), towards(&origin).await);
            crate::tasks::spawn("relay", async move {
                let to_client = |bytes: &[u8]| said.try_send(bytes.to_vec()).is_ok();
                let end = relay.run(RelayPermit::for_test(), ours, &counts, IDLE, to_client).await;
                assert_eq!(end, RelayEnd::Idle);
            })
        };
        assert_eq!(hear(&origin).await, b"first");
        relay.hand(b"second");
        let mut heard = [0; 100];
        let (n, gateway) = origin.recv_from(&mut heard).await.unwrap();
        assert_eq!(&heard[..n], b"second");
        origin.send_to(b"an answer", gateway).await.unwrap();
        assert_eq!(told.recv().await.unwrap(), b"an answer");
        running.await.unwrap();
        assert_eq!((counts.up(), counts.down()), (11, 9));
        assert_eq!(relay.hand(b"late"), Handed::Over { unheard: false });
    }

    #[tokio::test]
    async fn an_origin_that_is_not_there_is_told_of_and_not_waited_for() {
        let gone = socket().await;
        let ours = towards(&gone).await;
        drop(gone);
        let (relay, counts) = (DatagramRelay::default(), Arc::<Counts>::default());
        relay.hand(b"is anybody there?");
        let begun = Instant::now();
        let end = relay.run(RelayPermit::for_test(), ours, &counts, Duration::from_secs(60), |_| true).await;
        assert_eq!(end, RelayEnd::Origin(io::ErrorKind::ConnectionRefused));
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert_eq!(relay.hand(b"again"), Handed::Over { unheard: true });
    }

    #[tokio::test]
    async fn what_waits_is_bounded_and_is_the_first_that_came() {
        let relay = DatagramRelay::default();
        for n in 0..1000_u32 {
            assert_eq!(relay.hand(&[&n.to_be_bytes()[..], &[0; 1196]].concat()), Handed::On);
        }
        let state = relay.state();
        let State::Waiting(waiting) = &*state else { panic!("nobody opened it") };
        assert!(waiting.len() == 13 && waiting.iter().map(Bytes::len).sum::<usize>() <= WAITING_MAX_BYTES);
        assert_eq!((&waiting[0][..4], &waiting[12][..4]), (&[0, 0, 0, 0][..], &[0, 0, 0, 12][..]));
        drop(state);
        relay.end(RelayEnd::Complete, false);
        assert_eq!(relay.over(), Some(Handed::Over { unheard: false }));
    }

    #[tokio::test]
    async fn nothing_passes_once_it_is_ended() {
        let origin = socket().await;
        let (relay, counts) = (Arc::new(DatagramRelay::default()), Arc::<Counts>::default());
        let ours = towards(&origin).await;
        let running =
            async { relay.run(RelayPermit::for_test(), ours, &counts, Duration::from_secs(60), |_| true).await };
        let ending = async {
            relay.hand(b"before");
            assert_eq!(hear(&origin).await, b"before");
            relay.end(RelayEnd::Complete, false);
            relay.hand(b"after");
        };
        let (end, ()) = tokio::join!(running, ending);
        assert_eq!((end, counts.up()), (RelayEnd::Complete, 6));
    }
}
