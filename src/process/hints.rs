//! What the gateway says of itself at its start: one line `ready`, and for a trial what to try next.

use std::io::Write;
use std::net::SocketAddr;

use crate::config::{Config, Recipients};

/// A name under a domain that exists nowhere (RFC 6761 §6.2), listed in the starter rules for this purpose.
const REFUSED_EXAMPLE: &str = "http://adult.test/";
const ALLOWED_EXAMPLE: &str = "http://example.com/";

/// Says `ready` on stderr, where scripts wait for it.
pub fn ready(config: &Config, doors: &[SocketAddr]) {
    let mut text = String::from("ready\n");
    if config.file.is_none() {
        text.push_str(&trial(config, doors));
    }
    // A closed stderr is no reason to stop serving.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn trial(config: &Config, doors: &[SocketAddr]) -> String {
    let state = config.paths.state.display();
    let program = std::env::current_exe().map_or_else(|_| "ecluse".to_owned(), |path| path.display().to_string());
    let proxy = doors.first().map_or_else(String::new, ToString::to_string);
    let mut text = format!(
        "\nThis is a trial: it listens on this machine only ({}), with the starter rules.\n\
         Everything it keeps is in {state}\n",
        doors.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    );
    if let Recipients::Trial { key_file } = &config.persons.recipients {
        text.push_str(&format!(
            "Persons are sealed to a key made for the trial, {}: in a school it lies elsewhere.\n",
            key_file.display()
        ));
    }
    text.push_str(&format!(
        "\nTry, in another terminal:\n\
         \x20 curl -x http://{proxy} {ALLOWED_EXAMPLE}        # passes\n\
         \x20 curl -x http://{proxy} {REFUSED_EXAMPLE}          # refused, with the page\n\
         \x20 curl -x http://{proxy} http://ecluse.internal/information\n\
         \x20 {program} --state {state} log search --from 10m   # both are in the log\n\
         \x20 {program} --state {state} status\n\n"
    ));
    text
}
