//! From what is written to what is known good.

mod antivirus;
mod dns;
mod inspection;
mod parent;
mod store;
mod transparent;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use super::written::{At, Document, Named, as_written, read};
use super::{
    College, Config, Guard, Journal, Limits, Listen, Log, OnFull, Paths, Persons, Problem, Proof, Recipients, Resolver,
    Retention, Role, Rules, default,
};
use crate::access::{CollegeCode, GatewayName};

type Texts = Vec<At<String>>;

as_written! {
    pub(super) struct WrittenFile {
        role: WrittenRole, college: WrittenCollege, gateway: WrittenGateway, listen: WrittenListen,
        transparent: WrittenTransparent,
        resolver: WrittenResolver, dns: WrittenDns, rules: WrittenRules, journal: WrittenJournal, store: WrittenStore,
        retention: WrittenRetention, proof: WrittenProof, persons: WrittenPersons, limits: WrittenLimits, guard: WrittenGuard,
        parent: WrittenParent, inspection: WrittenInspection, antivirus: WrittenAntivirus, log: WrittenLog,
    }
    pub(super) struct WrittenRole { gateway: bool, central: bool, }
    pub(super) struct WrittenCollege {
        code: String, name: String, contact: String, data_protection_officer: String, head: String,
    }
    pub(super) struct WrittenGateway { name: String, }
    pub(super) struct WrittenListen {
        explicit: Texts, transparent_http: Texts, transparent_tls: Texts, transparent_udp: Texts, dns: Texts,
    }
    pub(super) struct WrittenTransparent {
        mode: String, interfaces: Texts, except: Texts, origin_mismatch: String, keep_client_address: bool,
        silence_ms: u64,
    }
    pub(super) struct WrittenResolver { servers: Texts, timeout_ms: u64, cache_entries: u64, }
    pub(super) struct WrittenDns {
        clients: Texts, zones: Named<Texts>, private_names: Texts, refused: String, own_addresses: Texts,
        cache_entries: u64, questions_per_second: u64, question_burst: u64, no_dns_after_seconds: u64,
    }
    pub(super) struct WrittenRules { directory: String, }
    pub(super) struct WrittenJournal {
        directory: String, segment_bytes: u64, segment_seconds: u64, sync_ms: u64, max_bytes: u64,
        slice_seconds: u64, on_full: String,
    }
    pub(super) struct WrittenStore {
        kind: String, directory: String, endpoints: Texts, database: String, user: String, password_file: String,
        ca_file: String, certificate_file: String, key_file: String, connect_ms: u64, send_ms: u64, answer_ms: u64,
        batch_rows: u64, batch_seconds: u64, keep_hours: u64,
    }
    pub(super) struct WrittenRetention { accesses_days: u64, connections_days: u64, }
    pub(super) struct WrittenProof { key_file: String, witness: String, tsa: String, }
    pub(super) struct WrittenPersons { recipients: Texts, }
    pub(super) struct WrittenLimits {
        header_ms: u64, header_bytes: u64, header_fields: u64, keep_alive_ms: u64, body_idle_ms: u64,
        pace_ms: u64, tunnel_idle_ms: u64, datagram_idle_ms: u64, dial_ms: u64, detect_ms: u64, flows: u64, connections_per_client: u64,
        requests_per_second: u64, request_burst: u64, drain_ms: u64,
    }
    pub(super) struct WrittenGuard { allow: Texts, refuse: Texts, }
    pub(super) struct WrittenParent { url: String, credentials_file: String, fallback: String, no_proxy: Texts, }
    pub(super) struct WrittenInspection {
        certificate_file: String, key_file: String, block_page_https: String, origin_ca_file: String,
    }
    pub(super) struct WrittenAntivirus {
        scanner: String, clamd_conf: String, on_failure: String, over_limit: String, encrypted: String,
        unknown_coding: String, connect_ms: u64, verdict_ms: u64, at_once: u64, max_ratio: u64, max_codings: u64,
        decode_ms: u64,
    }
    pub(super) struct WrittenLog { level: String, }
}

/// `section.key` of everything that can be written.
#[cfg(test)]
pub(super) fn keys() -> Vec<String> {
    let sections = [
        WrittenRole::KEYS,
        WrittenCollege::KEYS,
        WrittenGateway::KEYS,
        WrittenListen::KEYS,
        WrittenTransparent::KEYS,
        WrittenResolver::KEYS,
        WrittenDns::KEYS,
        WrittenRules::KEYS,
        WrittenJournal::KEYS,
        WrittenStore::KEYS,
        WrittenRetention::KEYS,
        WrittenProof::KEYS,
        WrittenPersons::KEYS,
        WrittenLimits::KEYS,
        WrittenGuard::KEYS,
        WrittenParent::KEYS,
        WrittenInspection::KEYS,
        WrittenAntivirus::KEYS,
        WrittenLog::KEYS,
    ];
    let named = WrittenFile::KEYS.iter().zip(sections);
    named.flat_map(|(section, keys)| keys.iter().map(move |key| format!("{section}.{key}"))).collect()
}

/// Checks the text of a configuration file: whole, with the default wherever something is wrong, and what is wrong.
pub(super) fn check(file: &Path, text: &str, state: &Path) -> (Config, Vec<Problem>) {
    let mut document = Document::new(file, text);
    let written: WrittenFile = read(&mut document);
    let mut check = Check { document, directory: file.parent().unwrap_or(Path::new("")), paths: Paths::under(state) };
    let mut config = check.config(written);
    config.file = Some(file.to_owned());
    config.notes = notes(&config, file);
    let problems = check.document.finish().err().map_or_else(Vec::new, |problems| problems.0);
    (config, problems)
}

/// Without a file: every default, and what makes a trial on one machine work.
pub(super) fn embedded(state: &Path) -> Config {
    let document = Document::new(Path::new(""), "");
    let mut check = Check { document, directory: Path::new(""), paths: Paths::under(state) };
    let mut config = check.config(WrittenFile::default());
    config.guard.allow = default::TRIAL_GUARD_ALLOW.iter().filter_map(|text| text.parse().ok()).collect();
    config.persons.recipients = Recipients::Trial { key_file: config.paths.trial_key.clone() };
    config
}

struct Check<'t> {
    document: Document<'t>,
    /// Paths in the file are relative to the file.
    directory: &'t Path,
    paths: Paths,
}

impl Check<'_> {
    /// Always whole: where something is wrong the default stands in, and the document knows the problem.
    fn config(&mut self, written: WrittenFile) -> Config {
        let journal = self.journal(value(written.journal));
        let store = self.store(value(written.store));
        let role = self.role(value(written.role));
        Config {
            file: None,
            role,
            college: self.college(value(written.college)),
            gateway: self.gateway(value(written.gateway)),
            listen: self.listen(value(written.listen), role),
            transparent: self.transparent(value(written.transparent)),
            resolver: self.resolver(value(written.resolver)),
            dns: self.dns(value(written.dns)),
            rules: self.rules(value(written.rules)),
            retention: self.retention(value(written.retention)),
            proof: self.proof(value(written.proof)),
            persons: self.persons(value(written.persons)),
            limits: self.limits(&value(written.limits)),
            guard: self.guard(value(written.guard)),
            parent: self.parent(value(written.parent)),
            inspection: self.inspection(value(written.inspection)),
            antivirus: self.antivirus(value(written.antivirus)),
            log: self.log(value(written.log)),
            paths: Paths { journal: journal.directory.clone(), store: store.directory.clone(), ..self.paths.clone() },
            journal,
            store,
            notes: Vec::new(),
        }
    }

    fn role(&mut self, written: WrittenRole) -> Role {
        let at = written.gateway.as_ref().map(|at| at.span.clone());
        let role = Role { gateway: value_or(written.gateway, true), central: value_or(written.central, true) };
        if let (false, false, Some(at)) = (role.gateway, role.central, at) {
            self.document.problem(&at, "this machine would have no role", "set `gateway`, `central` or both to true");
        }
        role
    }

    fn college(&mut self, written: WrittenCollege) -> College {
        let code = self.text(written.code, default::COLLEGE_CODE, |text| {
            CollegeCode::parse(text)
                .map_err(|e| (e.to_string(), "the school's UAI code stands on every official letter"))
        });
        let contact = self.text(written.contact, "", |text| match text.split_once('@') {
            Some((user, host)) if !user.is_empty() && host.contains('.') && !text.contains(char::is_whitespace) => {
                Ok(text.to_owned())
            }
            None if text.is_empty() => Ok(String::new()),
            _ => Err((format!("`{text}` is no mail address"), "as in filtrage@college.example")),
        });
        College {
            code,
            contact,
            name: value_or(written.name, default::COLLEGE_NAME.to_owned()),
            data_protection_officer: value_or(written.data_protection_officer, String::new()),
            head: value_or(written.head, String::new()),
        }
    }

    fn gateway(&mut self, written: WrittenGateway) -> GatewayName {
        self.text(written.name, default::GATEWAY_NAME, |text| GatewayName::parse(text).map_err(|e| (e.to_string(), "")))
    }

    fn listen(&mut self, written: WrittenListen, role: Role) -> Listen {
        let dns = self.dns_doors(written.dns);
        let explicit = match written.explicit {
            None => default::EXPLICIT.to_vec(),
            Some(texts) => {
                if texts.value.is_empty()
                    && role.gateway
                    && written.transparent_http.is_none()
                    && written.transparent_tls.is_none()
                {
                    self.document.problem(
                        &texts.span,
                        "nobody could come in",
                        "name an address, as in [\"0.0.0.0:3128\"]",
                    );
                }
                self.doors(texts.value, &[])
            }
        };
        let transparent_http = self.doors(value(written.transparent_http), &explicit);
        let taken = [explicit.as_slice(), &transparent_http].concat();
        let transparent_tls = self.doors(value(written.transparent_tls), &taken);
        let transparent_udp = self.doors(value(written.transparent_udp), &dns);
        Listen { explicit, transparent_http, transparent_tls, transparent_udp, dns }
    }

    fn doors(&mut self, texts: Texts, taken: &[SocketAddr]) -> Vec<SocketAddr> {
        let mut doors = Vec::new();
        for At { value: text, span } in texts {
            match text.parse::<SocketAddr>() {
                Err(_) => self.document.problem(
                    &span,
                    format!("`{text}` is no address with a port"),
                    "as in \"127.0.0.1:3128\" or \"[::1]:3128\"; names are not resolved here",
                ),
                Ok(address) if doors.contains(&address) || taken.contains(&address) => {
                    self.document.problem(&span, format!("`{text}` stands here twice"), "remove one");
                }
                Ok(address) => doors.push(address),
            }
        }
        doors
    }

    fn resolver(&mut self, written: WrittenResolver) -> Resolver {
        Resolver {
            servers: self.name_servers(written.servers.map(|at| at.value).unwrap_or_default()),
            timeout: self.millis(&written.timeout_ms, default::RESOLVER_TIMEOUT_MS, 100..=60_000),
            cache_entries: self.size(&written.cache_entries, default::RESOLVER_CACHE_ENTRIES, 0..=1_000_000),
        }
    }

    fn name_servers(&mut self, texts: Texts) -> Vec<SocketAddr> {
        let mut servers = Vec::new();
        for At { value: text, span } in texts {
            // RFC 1035 §4.2: port 53.
            let server = text.parse::<SocketAddr>().or_else(|_| text.parse::<IpAddr>().map(|ip| (ip, 53).into()));
            match server {
                Ok(server) => servers.push(server),
                Err(_) => self.document.problem(
                    &span,
                    format!("`{text}` is no address of a name server"),
                    "as in \"192.0.2.53\" or \"192.0.2.53:5353\"",
                ),
            }
        }
        servers
    }

    fn rules(&mut self, written: WrittenRules) -> Rules {
        let directory = value_or(written.directory, String::new());
        match directory.is_empty() {
            true => Rules { directory: self.paths.starter.clone(), starter: true },
            false => Rules { directory: self.directory.join(directory), starter: false },
        }
    }

    fn journal(&mut self, written: WrittenJournal) -> Journal {
        let on_full = self.text(written.on_full, "refuse", |text| match text {
            "refuse" => Ok(OnFull::Refuse),
            "allow" => Ok(OnFull::Allow),
            _ => Err((format!("`{text}` is none of: refuse, allow"), "")),
        });
        const KIB: u64 = 1024;
        const TIB: u64 = KIB * KIB * KIB * KIB;
        let max_at = written.max_bytes.as_ref().map(|at| at.span.clone());
        let segment_bytes = self.number(&written.segment_bytes, default::SEGMENT_BYTES, 64 * KIB..=1024 * KIB * KIB);
        let max_bytes = self.number(&written.max_bytes, default::JOURNAL_MAX_BYTES, KIB * KIB..=TIB);
        if let Some(at) = max_at.filter(|_| max_bytes < 4 * segment_bytes) {
            let what = format!("{max_bytes} bytes hold less than four segments of {segment_bytes}");
            self.document.problem(&at, what, "raise `max_bytes` or lower `segment_bytes`");
        }
        Journal {
            directory: self.place(written.directory, |paths| &paths.journal),
            segment_bytes,
            segment_age: self.seconds(&written.segment_seconds, default::SEGMENT_SECONDS, 1..=3_600),
            sync: self.millis(&written.sync_ms, default::SYNC_MS, 0..=10_000),
            max_bytes,
            slice: self.seconds(&written.slice_seconds, default::SLICE_SECONDS, 10..=86_400),
            on_full,
        }
    }

    fn retention(&mut self, written: WrittenRetention) -> Retention {
        // CNIL 2021-122 and the school's charter: 1 to 12 months; CPCE R. 10-13: one year for connections.
        let days = 1..=366;
        Retention {
            accesses_days: self.size(&written.accesses_days, default::ACCESSES_DAYS, days.clone()) as u32,
            connections_days: self.size(&written.connections_days, default::CONNECTIONS_DAYS, days) as u32,
        }
    }

    fn proof(&mut self, written: WrittenProof) -> Proof {
        let place = |written: Option<At<String>>| {
            let text = value_or(written, String::new());
            Some(self.directory.join(&text)).filter(|_| !text.is_empty())
        };
        let (key_file, witness) = (place(written.key_file), place(written.witness));
        let tsa = self.text(written.tsa, "", |text| match url::Url::parse(text) {
            _ if text.is_empty() => Ok(None),
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(Some(url)),
            _ => Err((
                format!("`{text}` is no address of a time-stamping authority"),
                "as in \"https://tsa.example/tsr\"",
            )),
        });
        Proof { key_file, witness, tsa }
    }

    fn persons(&mut self, written: WrittenPersons) -> Persons {
        let mut given = Vec::new();
        for At { value: text, span } in written.recipients.map(|at| at.value).unwrap_or_default() {
            match text.parse::<age::x25519::Recipient>() {
                Ok(_) => given.push(text),
                Err(e) => self.document.secret_problem(
                    &span,
                    format!("this is no age recipient: {e}"),
                    "paste the public key, \"age1…\", that `age-keygen` prints; never the secret one",
                ),
            }
        }
        Persons { recipients: if given.is_empty() { Recipients::Nobody } else { Recipients::Given(given) } }
    }

    fn limits(&mut self, w: &WrittenLimits) -> Limits {
        const HOUR_MS: u64 = 3_600_000;
        Limits {
            header: self.millis(&w.header_ms, default::HEADER_MS, 100..=600_000),
            // hyper refuses a read buffer below 8 KiB.
            header_bytes: self.size(&w.header_bytes, default::HEADER_BYTES, 8_192..=1_048_576),
            header_fields: self.size(&w.header_fields, default::HEADER_FIELDS, 10..=1_000),
            keep_alive: self.millis(&w.keep_alive_ms, default::KEEP_ALIVE_MS, 100..=HOUR_MS),
            body_idle: self.millis(&w.body_idle_ms, default::BODY_IDLE_MS, 1_000..=24 * HOUR_MS),
            pace: self.millis(&w.pace_ms, default::PACE_MS, 100..=HOUR_MS),
            tunnel_idle: self.millis(&w.tunnel_idle_ms, default::TUNNEL_IDLE_MS, 1_000..=24 * HOUR_MS),
            datagram_idle: self.millis(&w.datagram_idle_ms, default::DATAGRAM_IDLE_MS, 1_000..=24 * HOUR_MS),
            dial: self.millis(&w.dial_ms, default::DIAL_MS, 100..=120_000),
            detect: self.millis(&w.detect_ms, default::DETECT_MS, 10..=60_000),
            flows: self.size(&w.flows, default::FLOWS, 1..=1_000_000),
            connections_per_client: self.size(
                &w.connections_per_client,
                default::CONNECTIONS_PER_CLIENT,
                1..=1_000_000,
            ),
            requests_per_second: self.count(&w.requests_per_second, default::REQUESTS_PER_SECOND, 1..=1_000_000),
            request_burst: self.count(&w.request_burst, default::REQUEST_BURST, 1..=1_000_000),
            drain: self.millis(&w.drain_ms, default::DRAIN_MS, 0..=HOUR_MS),
        }
    }

    fn guard(&mut self, written: WrittenGuard) -> Guard {
        Guard { allow: self.networks(written.allow), refuse: self.networks(written.refuse) }
    }

    fn networks(&mut self, texts: Option<At<Texts>>) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for At { value: text, span } in texts.map(|at| at.value).unwrap_or_default() {
            match network(&text) {
                Ok(network) => networks.push(network),
                Err((what, help)) => self.document.problem(&span, what, help),
            }
        }
        networks
    }

    fn log(&mut self, written: WrittenLog) -> Log {
        const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
        let level = self.text(written.level, default::LOG_LEVEL, |text| match LEVELS.contains(&text) {
            true => Ok(text.to_owned()),
            false => Err((format!("`{text}` is none of: {}", LEVELS.join(", ")), "")),
        });
        Log { level }
    }

    /// A text of which `parse` makes something; the default, which parses, where it is absent or wrong.
    fn text<T>(
        &mut self,
        written: Option<At<String>>,
        default: &str,
        parse: impl Fn(&str) -> Result<T, (String, &'static str)>,
    ) -> T {
        if let Some(At { value, span }) = written {
            match parse(&value) {
                Ok(parsed) => return parsed,
                Err((what, help)) => self.document.problem(&span, what, help),
            }
        }
        let Ok(parsed) = parse(default) else { unreachable!("the default parses: a test reads every one") };
        parsed
    }

    fn number(&mut self, written: &Option<At<u64>>, default: u64, range: RangeInclusive<u64>) -> u64 {
        match written {
            None => default,
            Some(at) if range.contains(&at.value) => at.value,
            Some(at) => {
                let what = format!("{} is not between {} and {}", at.value, range.start(), range.end());
                self.document.problem(&at.span, what, format!("the default is {default}"));
                default
            }
        }
    }

    fn size(&mut self, written: &Option<At<u64>>, default: u64, range: RangeInclusive<u64>) -> usize {
        // Every range above ends far below 2^32.
        self.number(written, default, range) as usize
    }

    fn count(&mut self, written: &Option<At<u64>>, default: u64, range: RangeInclusive<u64>) -> NonZeroU32 {
        // Every range above begins at one and ends below 2^32.
        NonZeroU32::new(self.number(written, default, range) as u32).unwrap_or(NonZeroU32::MIN)
    }

    fn millis(&mut self, written: &Option<At<u64>>, default: u64, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.number(written, default, range))
    }

    fn seconds(&mut self, written: &Option<At<u64>>, default: u64, range: RangeInclusive<u64>) -> Duration {
        Duration::from_secs(self.number(written, default, range))
    }

    /// A directory of ours: empty means its place under the state directory.
    fn place(&self, written: Option<At<String>>, usual: impl Fn(&Paths) -> &PathBuf) -> PathBuf {
        match written.filter(|at| !at.value.is_empty()) {
            Some(at) => self.directory.join(at.value),
            None => usual(&self.paths).clone(),
        }
    }
}

fn value<T: Default>(written: Option<At<T>>) -> T {
    written.map(|at| at.value).unwrap_or_default()
}

fn value_or<T>(written: Option<At<T>>, default: T) -> T {
    written.map_or(default, |at| at.value)
}

/// A network, or one address. A network whose address has bits beyond its length is a slip of the pen: which of
/// the two was meant?
pub(crate) fn network(text: &str) -> Result<IpNet, (String, String)> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    match text.parse::<IpNet>() {
        Err(_) => Err((format!("`{text}` is no network"), "as in \"10.131.0.0/16\" or \"fd00:131::/32\"".to_owned())),
        Ok(network) if network.trunc() != network => {
            Err((format!("`{text}` is an address inside a network"), format!("the network is \"{}\"", network.trunc())))
        }
        Ok(network) => Ok(network),
    }
}

fn notes(config: &Config, file: &Path) -> Vec<Problem> {
    let mut notes = Vec::new();
    let mut note = |what: &str, help: &str| notes.push(Problem::of_file(file, what, help));
    if config.role.gateway && config.persons.recipients == Recipients::Nobody {
        note(
            "no person will be recorded: `[persons] recipients` is empty",
            "have the data-protection officer run `age-keygen` and paste the \"age1…\" line here",
        );
    }
    if config.college.code.as_str() == default::COLLEGE_CODE {
        note("`[college] code` is not set: rows carry the code of a trial", "set the school's UAI code");
    }
    if config.college.contact.is_empty() {
        note("`[college] contact` is not set: pages can't say whom to write to", "set a mail address that is read");
    }
    if config.parent.is_some() {
        note(
            "a parent proxy resolves the names: what rules and lists say of addresses holds for addresses asked for only",
            "names under `[parent] no_proxy` are resolved here",
        );
    }
    transparent::notes(config, &mut note);
    notes.extend(dns::notes(config, file));
    notes.extend(antivirus::notes(config, file));
    notes
}
