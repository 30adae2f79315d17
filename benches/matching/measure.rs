//! Times of single questions, and of all of them in a row.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// The best of nine rounds counts: the others say what else the machine did.
const ROUNDS: usize = 9;

/// What a look-up costs, in nanoseconds.
pub struct Cost {
    /// In a row: the processor works on the next while memory answers for the last.
    pub mean: f64,
    /// Each by itself, less what reading the clock costs.
    pub median: f64,
    pub p99: f64,
    pub found: usize,
}

/// What the issue asks of a figure.
#[derive(Clone, Copy, Default)]
pub struct Aim {
    pub mean: Option<f64>,
    pub median: Option<f64>,
    pub p99: Option<f64>,
}

/// Asks each item after `prepare` has made of it what is asked about; only `ask` is timed, except in the mean.
pub fn measure<'t, T, P>(items: &'t [T], prepare: impl Fn(&'t T) -> P, ask: impl Fn(&P) -> bool) -> Cost {
    let mut best = Duration::MAX;
    let mut found = 0;
    for _ in 0..ROUNDS {
        let (took, count) = timed(|| items.iter().filter(|item| ask(black_box(&prepare(item)))).count());
        best = best.min(took);
        found = count;
    }
    let clock = percentiles(items.iter().map(|_| timed(|| black_box(0)).0).collect()).0;
    let single = |item: &'t T| {
        let prepared = prepare(item);
        timed(|| black_box(ask(black_box(&prepared)))).0
    };
    let rounds = (0..3).map(|_| percentiles(items.iter().map(single).collect()));
    let (median, p99) = rounds.fold((f64::MAX, f64::MAX), |best, round| (best.0.min(round.0), best.1.min(round.1)));
    Cost {
        mean: best.as_nanos() as f64 / items.len() as f64,
        median: (median - clock).max(0.0),
        p99: (p99 - clock).max(0.0),
        found,
    }
}

pub fn print(what: &str, items: usize, cost: &Cost, aim: Aim) {
    let text = |value: f64, aim: Option<f64>| {
        let aim = aim.map_or(String::new(), |aim| format!(" (aim {aim:.0})"));
        format!("{value:>6.0} ns{aim:<11}")
    };
    println!(
        "{what:<44} mean {} median {} p99 {} {} of {items} found",
        text(cost.mean, aim.mean),
        text(cost.median, aim.median),
        text(cost.p99, aim.p99),
        cost.found
    );
}

fn percentiles(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort_unstable();
    (times[times.len() / 2].as_nanos() as f64, times[times.len() * 99 / 100].as_nanos() as f64)
}

pub fn timed<T>(f: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let value = f();
    (start.elapsed(), value)
}
