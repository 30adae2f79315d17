//! CPU time of another process, as the kernel counts it.

use std::time::Duration;

/// `USER_HZ`: the unit of times in /proc, 100 on every Linux that we know (man 5 proc).
const TICKS_PER_SECOND: u64 = 100;

/// User and system time of a process and all its threads, the finished ones too.
pub fn cpu(pid: u32) -> Duration {
    cpu_if_alive(pid).expect("a living process")
}

/// The same, of a process that may be gone.
pub fn cpu_if_alive(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Fields 14 and 15 of the line, counted after the command's name, which may hold anything.
    let rest = stat.rsplit(')').next()?;
    let fields: Vec<u64> = rest.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
    Some(Duration::from_millis((fields.get(11)? + fields.get(12)?) * 1000 / TICKS_PER_SECOND))
}
