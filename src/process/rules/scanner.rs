//! What is said of a scanner at the start and after a reload: that it is there, and that its limits fit ours.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::gateway::Snapshot;
use crate::policy::Ruleset;
use crate::scan::clamd::{self, conf};
use crate::scan::{Service, Signature};
use crate::tasks;

/// clamd refuses a length at once; a longer silence is consent.
const PATIENCE: Duration = Duration::from_millis(500);

/// What is to be said of rules that want scanned what nothing can scan.
pub fn cannot_scan(config: &Config, rules: &Ruleset) -> Option<String> {
    let wanting = rules.rules_with(|duties| duties.scan || duties.scan_uploads);
    let first = wanting.first().filter(|_| config.antivirus.scanner.is_none())?;
    Some(format!("rule `{}` wants bodies scanned, and `[antivirus]` names no scanner: nothing is", first.name))
}

/// What of a `clamd.conf` does not fit the settings of ours; nothing where none is named.
pub fn compare(config: &Config, rules: &Ruleset) -> Vec<String> {
    let Some(file) = &config.antivirus.clamd_conf else { return Vec::new() };
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return vec![format!("`[antivirus] clamd_conf` {}: {error}", file.display())],
    };
    let (conf, max_bytes) = (conf::parse(&text), rules.scan().max_bytes);
    let mut said = Vec::new();
    if conf.stream_max_length < max_bytes {
        said.push(format!(
            "clamd takes {} bytes (`StreamMaxLength` in {}) and policy wants {max_bytes} scanned (`[scan] max_bytes`): \
             raise the one or lower the other",
            conf.stream_max_length,
            file.display()
        ));
    }
    if !conf.alert_encrypted {
        let file = file.display();
        said.push(format!(
            "clamd does not tell of encrypted archives (`AlertEncrypted yes` in {file}): `[antivirus] encrypted` says nothing"
        ));
    }
    if !conf.alert_exceeds_max {
        let file = file.display();
        said.push(format!(
            "clamd takes what exceeds its own limits for clean (`AlertExceedsMax yes` in {file} changes that)"
        ));
    }
    said
}

/// Asks the scanner, aside: nothing waits for it.
pub fn look_at(snapshot: &Arc<Snapshot>) {
    let Some(antivirus) = snapshot.antivirus.clone() else { return };
    let snapshot = snapshot.clone();
    tasks::spawn("look at the scanner", async move {
        for what in compare(&snapshot.config, &snapshot.rules) {
            tracing::warn!("{what}");
        }
        let (waits, max_bytes) = (antivirus.scanner.limits().waits, snapshot.rules.scan().max_bytes);
        let told = match antivirus.scanner.service() {
            Service::Clamd(address) => clamd::takes_at_once(address, max_bytes, waits, PATIENCE).await.map(|takes| {
                if takes {
                    tracing::info!("the scanner answers, and takes bodies of {max_bytes} bytes");
                } else {
                    tracing::warn!(
                        "clamd takes less than the {max_bytes} bytes that policy wants scanned (`[scan] max_bytes`): what \
                         is larger than its `StreamMaxLength` counts as over the limit"
                    );
                }
            }),
            Service::Icap(icap) => icap.options(waits).await.map(|options| {
                let name = options.service.as_ref().map_or("", Signature::as_str);
                tracing::info!(methods = %Signature::new(&options.methods), preview = ?options.preview, "the ICAP service answers: {name}");
            }),
        };
        if let Err(fault) = told {
            let fault = Signature::new(&fault.to_string());
            tracing::error!("the scanner gives no verdict: {fault}; `[antivirus] on_failure` says what passes");
        }
    });
}
