//! Tasks that do not die in silence: a panic is counted, logged, and ends only its own task.

use std::future::Future;

use tokio::task::JoinHandle;

use crate::metrics::METRICS;

/// Spawns a task named `what` in diagnostics. A panic inside it is counted and logged.
#[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
pub fn spawn<F>(what: &'static str, future: F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        let guard = PanicGuard(what);
        future.await;
        std::mem::forget(guard);
    })
}

struct PanicGuard(&'static str);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            METRICS.panics.add(1);
            tracing::error!(task = self.0, "a task panicked: this is a bug, please report it with the lines above");
        }
    }
}
