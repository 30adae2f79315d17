//! Where copying ends and splicing begins: what it costs to pass on a piece of a given size from one socket to another,
//! by `read` and `write` and through a pipe by `splice`. `relay::direction` has its limits from here.
//!
//! `cargo bench --bench relay`: one thread writes a piece, passes it on, reads it and compares; only the
//! passing is timed, by the thread's own processor time: what else the machine does falls on nobody.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use rustix::time::{ClockId, clock_gettime};

const SIZES: [usize; 8] = [200, 700, 1500, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 128 << 10];
const ROUNDS: usize = 15;
const PIPE: usize = 256 << 10;

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!("| piece | copied | spliced | ratio |\n|---|---|---|---|");
    let mut ways = Ways::new();
    for size in SIZES {
        let pieces = (16 << 20) / size.max(4 << 10);
        let (mut copied, mut spliced) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            copied.push(ways.round(size, pieces, Ways::copy));
            spliced.push(ways.round(size, pieces, Ways::splice));
        }
        let (copied, spliced) = (median(copied), median(spliced));
        println!("| {size} | {copied:.2} µs | {spliced:.2} µs | {:.2} |", spliced / copied);
    }
}

/// Two connections, what lies between them, and what passes.
struct Ways {
    sender: TcpStream,
    from: TcpStream,
    to: TcpStream,
    receiver: TcpStream,
    pipe: (OwnedFd, OwnedFd),
    buffer: Vec<u8>,
}

fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let near = TcpStream::connect(listener.local_addr().expect("an address")).expect("a listener");
    let far = listener.accept().expect("a connection").0;
    for socket in [&near, &far] {
        socket.set_nodelay(true).expect("a connection");
        let socket = socket2::SockRef::from(socket);
        socket.set_recv_buffer_size(1 << 20).expect("Linux");
        socket.set_send_buffer_size(1 << 20).expect("Linux");
    }
    (near, far)
}

impl Ways {
    fn new() -> Self {
        let ((sender, from), (to, receiver)) = (connected(), connected());
        let pipe = pipe_with(PipeFlags::CLOEXEC).expect("two descriptors");
        fcntl_setpipe_size(&pipe.1, PIPE).expect("a pipe of this size");
        Ways { sender, from, to, receiver, pipe, buffer: vec![0; 32 << 10] }
    }

    /// Microseconds that it takes to pass on a piece, on the average.
    fn round(&mut self, size: usize, pieces: usize, pass: fn(&mut Self, usize)) -> f64 {
        let (said, mut heard) = (vec![7; size], vec![0; size]);
        let mut took = 0.0;
        for _ in 0..pieces {
            self.sender.write_all(&said).expect("room");
            let begun = on_cpu();
            pass(self, size);
            took += on_cpu() - begun;
            self.receiver.read_exact(&mut heard).expect("the piece");
            assert!(heard == said, "other bytes came");
        }
        took / pieces as f64
    }

    fn copy(&mut self, size: usize) {
        let mut left = size;
        while left > 0 {
            let n = self.from.read(&mut self.buffer).expect("a piece");
            self.to.write_all(&self.buffer[..n]).expect("room");
            left -= n;
        }
    }

    fn splice(&mut self, size: usize) {
        let mut left = size;
        while left > 0 {
            let held = splice(&self.from, None, &self.pipe.1, None, PIPE, SpliceFlags::empty()).expect("a piece");
            let mut rest = held;
            while rest > 0 {
                rest -= splice(&self.pipe.0, None, &self.to, None, rest, SpliceFlags::empty()).expect("room");
            }
            left -= held;
        }
    }
}

/// What this thread has had of the processor, in microseconds.
fn on_cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
