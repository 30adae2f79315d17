//! The machine is out of something that a new connection takes: descriptors or memory.

use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use rustix::io::Errno;
use tokio::time::{Instant, sleep};

/// Closing connections give room within such a time; and ten attempts a second cost nothing.
const PAUSE: Duration = Duration::from_millis(100);
/// A shortage is told when it begins, and again after this long.
const ALARM_EVERY: Duration = Duration::from_secs(60);

/// A shortage that lasts, perhaps.
#[derive(Debug, Default)]
pub(super) struct Shortage(Mutex<Option<Alarm>>);

#[derive(Debug)]
struct Alarm {
    since: Instant,
    told: Instant,
}

impl Shortage {
    /// Waits a moment, and says so when it is time to. Connections wait in the kernel's queue meanwhile.
    pub async fn wait(&self, listener: SocketAddr, error: &io::Error) {
        if let Some(since) = self.tell() {
            tracing::error!(
                %listener, %error, seconds = since.as_secs(),
                "new clients have to wait: {}", cure(error)
            );
        }
        sleep(PAUSE).await;
    }

    /// A connection was taken.
    pub fn over(&self) {
        let mut alarm = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(alarm) = alarm.take() {
            tracing::warn!(seconds = alarm.since.elapsed().as_secs(), "new clients are served again");
        }
    }

    /// How long it has lasted, when that is to be told now.
    fn tell(&self) -> Option<Duration> {
        let mut alarm = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let now = Instant::now();
        match &mut *alarm {
            None => {
                *alarm = Some(Alarm { since: now, told: now });
                Some(Duration::ZERO)
            }
            Some(alarm) if now - alarm.told >= ALARM_EVERY => {
                alarm.told = now;
                Some(now - alarm.since)
            }
            Some(_) => None,
        }
    }
}

pub(super) fn is_shortage(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].iter().any(|errno| is(error, *errno))
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

fn cure(error: &io::Error) -> &'static str {
    if is(error, Errno::MFILE) {
        "this process has no descriptor left; raise `LimitNOFILE=` of the service or lower `[limits] flows`"
    } else if is(error, Errno::NFILE) {
        "the machine has no descriptor left; `sysctl fs.file-nr` shows how many are open, `fs.file-max` is the limit"
    } else {
        "the kernel has no memory left for connections; see `free` and `ss -s`"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_shortage_is_told_when_it_begins_and_once_a_minute() {
        let shortage = Shortage::default();
        let error = io::Error::from_raw_os_error(Errno::MFILE.raw_os_error());
        assert!(is_shortage(&error));
        let mut told = 0;
        let begun = Instant::now();
        for _ in 0..1300 {
            told += u32::from(shortage.tell().is_some());
            sleep(PAUSE).await;
        }
        assert_eq!(begun.elapsed().as_secs(), 130);
        assert_eq!(told, 3, "at 0, 60 and 120 s");
        shortage.over();
        assert_eq!(shortage.tell(), Some(Duration::ZERO), "a new shortage is told at once");
    }
}
