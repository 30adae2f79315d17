//! What follows an update: the image is compiled anew, and a running gateway takes it.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};

use crate::access::Timestamp;
use crate::gateway::control::{Status, ask_status};

/// A reload maps an image that is there: what takes longer than this has other troubles.
const RELOADED_WITHIN: Duration = Duration::from_secs(120);
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// What a running gateway made of the new lists.
#[derive(Debug)]
pub enum Reload {
    NobodyRuns,
    /// It has them already.
    NotNeeded,
    Done(Status),
    /// It keeps the old ones; its reason.
    Refused(String),
    Silent,
    /// It may not be told.
    Forbidden(String),
}

/// Tells the gateway behind `control` to take the rules as they are now; where an image is given, only if its own are
/// older than that.
pub async fn reload(control: &Path, image: Option<&Path>) -> Reload {
    let Ok(before) = ask_status(control).await else { return Reload::NobodyRuns };
    if image.and_then(written).is_some_and(|written| written <= before.rules_installed) {
        return Reload::NotNeeded;
    }
    let pid = i32::try_from(before.pid).ok().and_then(Pid::from_raw);
    let told = pid.ok_or_else(|| "it has no process".to_owned());
    if let Err(why) = told.and_then(|pid| kill_process(pid, Signal::HUP).map_err(|error| error.to_string())) {
        return Reload::Forbidden(why);
    }
    let waited = tokio::time::timeout(RELOADED_WITHIN, async {
        loop {
            tokio::time::sleep(ASK_AGAIN).await;
            // It may be busy or, by bad luck, be told to stop: then time passes.
            let Ok(now) = ask_status(control).await else { continue };
            if now.rules_installed > before.rules_installed {
                return Reload::Done(now);
            }
            let at = |status: &Status| status.reload_rejected.as_ref().map(|rejected| rejected.at);
            if let Some(rejected) = now.reload_rejected.as_ref().filter(|_| at(&now) > at(&before)) {
                return Reload::Refused(rejected.why.clone());
            }
        }
    });
    waited.await.unwrap_or(Reload::Silent)
}

fn written(image: &Path) -> Option<Timestamp> {
    let since = image.metadata().ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_micros(i64::try_from(since.as_micros()).ok()?))
}
