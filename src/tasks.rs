//! Tasks that do not die in silence: a panic is counted, logged, and ends only its own task.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::task::JoinHandle;

use crate::metrics::METRICS;

/// Spawns a task named `what` in diagnostics. A panic inside it is counted and logged.
#[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
pub fn spawn<F>(what: &'static str, future: F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(Watched { what, future })
}

pin_project! {
    /// A future whose panics are told. No `async` block around it: that would hold it twice, for as long as it lasts.
    struct Watched<F> {
        what: &'static str,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Watched<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let guard = PanicGuard(this.what);
        let polled = this.future.poll(cx);
        std::mem::forget(guard);
        polled
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_hardly_larger_than_what_it_runs() {
        let large = async {
            let held = [1_u8; 4000];
            std::future::ready(()).await;
            assert!(held.iter().all(|byte| *byte == 1));
        };
        let size = size_of_val(&large);
        assert!(size >= 4000 && size_of_val(&Watched { what: "large", future: large }) <= size + 16);
    }

    #[tokio::test]
    async fn a_panic_is_counted_and_ends_its_own_task() {
        let before = METRICS.panics.value();
        assert!(spawn("panics", async { panic!("as the test wants it") }).await.is_err());
        assert!(METRICS.panics.value() > before);
        spawn("goes well", async {}).await.unwrap();
    }
}
