//! `[store]`: where rows end up.

use std::net::IpAddr;
use std::ops::Range;
use std::path::PathBuf;

use super::super::{Server, Store, StoreKind, default};
use super::{At, Check, WrittenStore};

/// A file, and where it is named.
type Place = (PathBuf, Range<usize>);

impl Check<'_> {
    pub(super) fn store(&mut self, written: WrittenStore) -> Store {
        let kind_at = written.kind.as_ref().map(|at| at.span.clone());
        let kind = self.text(written.kind, "embedded", |text| match text {
            "embedded" => Ok(StoreKind::Embedded),
            "clickhouse" => Ok(StoreKind::ClickHouse),
            _ => Err((format!("`{text}` is none of: embedded, clickhouse"), "")),
        });
        let mut endpoints = Vec::new();
        for At { value: text, span } in written.endpoints.map(|at| at.value).unwrap_or_default() {
            if let Some(url) = self.endpoint(&text, &span) {
                endpoints.push(url);
            }
        }
        if let (StoreKind::ClickHouse, true, Some(at)) = (kind, endpoints.is_empty(), &kind_at) {
            let help = "write `endpoints = [\"https://clickhouse.example:8443\"]`";
            self.document.problem(at, "no server is named", help);
        }
        let name = |text: &str| {
            let fits = (1..=64).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-' || b == b'.');
            if fits {
                Ok(text.to_owned())
            } else {
                Err((format!("`{text}` is no name"), "letters, digits, `_`, `-`, `.`"))
            }
        };
        let path = |text: Option<At<String>>| {
            text.filter(|at| !at.value.is_empty()).map(|at| (self.directory.join(at.value), at.span))
        };
        let (password_file, ca_file) = (path(written.password_file), path(written.ca_file));
        let identity = (path(written.certificate_file), path(written.key_file));
        let server = Server {
            endpoints,
            database: self.text(written.database, default::STORE_DATABASE, name),
            user: self.text(written.user, "", |text| if text.is_empty() { Ok(String::new()) } else { name(text) }),
            password_file: password_file.map(|(path, _)| path),
            ca_file: ca_file.map(|(path, _)| path),
            identity: self.identity(identity),
            connect: self.millis(&written.connect_ms, default::STORE_CONNECT_MS, 100..=60_000),
            send: self.millis(&written.send_ms, default::STORE_SEND_MS, 100..=600_000),
            answer: self.millis(&written.answer_ms, default::STORE_ANSWER_MS, 100..=600_000),
            // Far below the 1,048,449 rows of one block.
            batch_rows: self.size(&written.batch_rows, default::STORE_BATCH_ROWS, 100..=500_000),
            batch: self.seconds(&written.batch_seconds, default::STORE_BATCH_SECONDS, 1..=600),
            keep: self.seconds(&written.keep_hours, default::STORE_KEEP_HOURS, 0..=24 * 31) * 3600,
        };
        Store { kind, directory: self.place(written.directory, |paths| &paths.store), server }
    }

    /// The scheme, the host and the port; nothing else belongs there.
    fn endpoint(&mut self, text: &str, span: &Range<usize>) -> Option<String> {
        const HELP: &str = "as in \"https://clickhouse.academie.example:8443\"";
        let url = match url::Url::parse(text) {
            Ok(url) if ["http", "https"].contains(&url.scheme()) && url.host().is_some() => url,
            _ => {
                self.document.secret_problem(span, "this is no address of a ClickHouse server", HELP);
                return None;
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            let help = "the name goes into `user`, the password into a file that `password_file` names";
            self.document.secret_problem(span, "credentials do not belong in the address", help);
            return None;
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            self.document.problem(span, format!("`{text}` has more than a host and a port"), HELP);
            return None;
        }
        let is_here = match url.host() {
            Some(url::Host::Ipv4(v4)) => IpAddr::from(v4).is_loopback(),
            Some(url::Host::Ipv6(v6)) => IpAddr::from(v6).is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        if url.scheme() == "http" && !is_here {
            self.document.problem(span, format!("`{text}` would send the log and the password in clear"), HELP);
            return None;
        }
        Some(url.as_str().trim_end_matches('/').to_owned())
    }

    fn identity(&mut self, files: (Option<Place>, Option<Place>)) -> Option<(PathBuf, PathBuf)> {
        match files {
            (Some((certificate, _)), Some((key, _))) => Some((certificate, key)),
            (None, None) => None,
            (Some((_, at)), None) => {
                self.document.problem(&at, "a certificate without its key", "name the key's file as `key_file`");
                None
            }
            (None, Some((_, at))) => {
                self.document.problem(&at, "a key without its certificate", "name its file as `certificate_file`");
                None
            }
        }
    }
}
