//! `[antivirus]`: what looks into bodies, and what becomes of those that it cannot.

use std::path::{Path, PathBuf};

use super::super::{Antivirus, Config, Problem, ScannerPlace, Unscanned, default};
use super::{At, Check, WrittenAntivirus};

impl Check<'_> {
    pub(super) fn antivirus(&mut self, w: WrittenAntivirus) -> Antivirus {
        let conf = w.clamd_conf.filter(|at| !at.value.is_empty()).map(|at| self.directory.join(at.value));
        Antivirus {
            scanner: self.text(w.scanner, "", scanner),
            clamd_conf: conf,
            on_failure: self.unscanned(w.on_failure, default::ANTIVIRUS_ON_FAILURE),
            over_limit: self.unscanned(w.over_limit, default::ANTIVIRUS_OVER_LIMIT),
            encrypted: self.unscanned(w.encrypted, default::ANTIVIRUS_ENCRYPTED),
            unknown_coding: self.unscanned(w.unknown_coding, default::ANTIVIRUS_UNKNOWN_CODING),
            connect: self.millis(&w.connect_ms, default::ANTIVIRUS_CONNECT_MS, 100..=60_000),
            verdict: self.millis(&w.verdict_ms, default::ANTIVIRUS_VERDICT_MS, 100..=600_000),
            at_once: self.size(&w.at_once, default::ANTIVIRUS_AT_ONCE, 1..=10_000),
            max_ratio: self.number(&w.max_ratio, default::ANTIVIRUS_MAX_RATIO, 2..=100_000),
            max_codings: self.size(&w.max_codings, default::ANTIVIRUS_MAX_CODINGS, 1..=5),
            decode: self.millis(&w.decode_ms, default::ANTIVIRUS_DECODE_MS, 10..=600_000),
        }
    }

    fn unscanned(&mut self, written: Option<At<String>>, default: &str) -> Unscanned {
        self.text(written, default, |text| match text {
            "block" => Ok(Unscanned::Block),
            "allow" => Ok(Unscanned::Allow),
            _ => Err((format!("`{text}` is none of: block, allow"), "")),
        })
    }
}

/// `unix:PATH`, `tcp:HOST:PORT`, `icap://HOST:PORT/SERVICE`, or nothing.
fn scanner(text: &str) -> Result<Option<ScannerPlace>, (String, &'static str)> {
    const HELP: &str =
        "as in \"unix:/run/clamav/clamd.ctl\", \"tcp:127.0.0.1:3310\" or \"icap://127.0.0.1:1344/avscan\"";
    let wrong = || (format!("`{text}` names no scanner"), HELP);
    if text.is_empty() {
        return Ok(None);
    }
    if let Some(path) = text.strip_prefix("unix:") {
        let path = PathBuf::from(path);
        return if path.is_absolute() { Ok(Some(ScannerPlace::ClamdUnix(path))) } else { Err(wrong()) };
    }
    if let Some(rest) = text.strip_prefix("icap://") {
        let (authority, service) = rest.split_once('/').ok_or_else(wrong)?;
        let plain = service.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_-.~?&=%".contains(&b));
        let host_and_port = host_and_port(authority).or_else(|| host_and_port(&format!("{authority}:{ICAP_PORT}")));
        let (host, port) = host_and_port.filter(|_| plain && !service.is_empty()).ok_or_else(wrong)?;
        return Ok(Some(ScannerPlace::Icap { host, port, service: format!("/{service}") }));
    }
    let (host, port) = text.strip_prefix("tcp:").and_then(host_and_port).ok_or_else(wrong)?;
    Ok(Some(ScannerPlace::ClamdTcp(host, port)))
}

/// The IANA's.
const ICAP_PORT: u16 = 1344;

/// The host without brackets.
fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = crate::access::Host::parse(host).ok()?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    Some((host.to_text().into_owned(), port))
}

/// What works and deserves a word.
pub(super) fn notes(config: &Config, file: &Path) -> Vec<Problem> {
    let host = match &config.antivirus.scanner {
        Some(ScannerPlace::ClamdTcp(host, _) | ScannerPlace::Icap { host, .. }) => host,
        _ => return Vec::new(),
    };
    match host.parse::<std::net::IpAddr>() {
        Ok(address) if address.is_loopback() => Vec::new(),
        _ => vec![Problem::of_file(
            file,
            "the scanner is on another machine: what was decrypted goes there in clear",
            "only over a network that is yours alone",
        )],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scanner_is_named_by_its_kind_and_place() {
        let icap =
            |host: &str, port, service: &str| ScannerPlace::Icap { host: host.into(), port, service: service.into() };
        for (text, place) in [
            ("unix:/run/clamav/clamd.ctl", ScannerPlace::ClamdUnix("/run/clamav/clamd.ctl".into())),
            ("tcp:127.0.0.1:3310", ScannerPlace::ClamdTcp("127.0.0.1".into(), 3310)),
            ("tcp:[::1]:3310", ScannerPlace::ClamdTcp("::1".into(), 3310)),
            ("icap://127.0.0.1:1344/virus_scan", icap("127.0.0.1", 1344, "/virus_scan")),
            ("icap://scan.college.example/a?b=c", icap("scan.college.example", 1344, "/a?b=c")),
        ] {
            assert_eq!(scanner(text), Ok(Some(place)), "{text}");
        }
        assert_eq!(scanner(""), Ok(None));
        for text in [
            "clamd",
            "unix:clamd.ctl",
            "tcp:127.0.0.1",
            "tcp::3310",
            "tcp:a:0",
            "icap://h",
            "icap://h/",
            "icap://h:x/a",
            "icap://h/a b",
        ] {
            assert!(scanner(text).is_err(), "{text}");
        }
    }
}
