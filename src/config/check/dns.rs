//! `[listen] dns` and `[dns]`: the names that the gateway answers itself.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use ipnet::IpNet;

use super::super::{Config, Dns, Problem, RefusedName, Zone, default};
use super::{At, Check, Texts, WrittenDns};
use crate::access::HostName;

/// A shorter prefix holds a good part of the Internet: nobody's clients are so many.
const CLIENTS_PREFIX_V4: u8 = 8;
const CLIENTS_PREFIX_V6: u8 = 7;

impl Check<'_> {
    /// Each by its very address: an answer must leave from the address that was asked.
    pub(super) fn dns_doors(&mut self, texts: Option<At<Texts>>) -> Vec<SocketAddr> {
        let texts = texts.map(|at| at.value).unwrap_or_default();
        for At { value: text, span } in &texts {
            if text.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_unspecified()) {
                self.document.problem(
                    span,
                    format!("`{text}` is every address: an answer might leave from another than was asked"),
                    "name the addresses that the clients ask, as in [\"10.131.0.1:5300\"]",
                );
            }
        }
        self.doors(texts, &[])
    }

    pub(super) fn dns(&mut self, written: WrittenDns) -> Dns {
        let clients = match written.clients {
            Some(texts) => self.dns_clients(texts),
            None => default::DNS_CLIENTS.iter().filter_map(|text| text.parse().ok()).collect(),
        };
        let mut zones = Vec::new();
        for (At { value: name, span }, servers) in written.zones.map(|at| at.value.0).unwrap_or_default() {
            let servers_at = servers.span;
            let servers = self.name_servers(servers.value);
            if servers.is_empty() {
                self.document.problem(&servers_at, format!("nobody is asked for `{name}`"), "as in [\"10.131.0.2\"]");
            }
            if let Some(name) = self.host_name(&name, &span) {
                zones.push(Zone { name, servers });
            }
        }
        let refused = self.text(written.refused, "nxdomain", |text| match text {
            "nxdomain" => Ok(RefusedName::NxDomain),
            "block-page" => Ok(RefusedName::BlockPage),
            _ => Err((format!("`{text}` is none of: nxdomain, block-page"), "")),
        });
        let mut private_names = Vec::new();
        for At { value: text, span } in written.private_names.map(|at| at.value).unwrap_or_default() {
            private_names.extend(self.host_name(&text, &span));
        }
        let mut own_addresses = Vec::new();
        for At { value: text, span } in written.own_addresses.map(|at| at.value).unwrap_or_default() {
            match text.parse::<IpAddr>() {
                Ok(address) if !address.is_unspecified() => own_addresses.push(address.to_canonical()),
                _ => self.document.problem(&span, format!("`{text}` is no address"), "as in \"10.131.0.1\""),
            }
        }
        Dns {
            clients,
            zones,
            private_names,
            refused,
            own_addresses,
            cache_entries: self.size(&written.cache_entries, default::DNS_CACHE_ENTRIES, 0..=1_000_000),
            questions_per_second: self.count(
                &written.questions_per_second,
                default::DNS_QUESTIONS_PER_SECOND,
                1..=1_000_000,
            ),
            question_burst: self.count(&written.question_burst, default::DNS_QUESTION_BURST, 1..=1_000_000),
            no_dns_after: self.seconds(&written.no_dns_after_seconds, default::DNS_NO_DNS_AFTER_SECONDS, 0..=86_400),
        }
    }

    fn dns_clients(&mut self, texts: At<Texts>) -> Vec<IpNet> {
        for At { value: text, span } in &texts.value {
            let too_wide = text.parse::<IpNet>().is_ok_and(|network| match network {
                IpNet::V4(v4) => v4.prefix_len() < CLIENTS_PREFIX_V4,
                IpNet::V6(v6) => v6.prefix_len() < CLIENTS_PREFIX_V6,
            });
            if too_wide {
                self.document.problem(
                    span,
                    format!("`{text}` would answer half the Internet"),
                    "an open resolver is used to attack others (RFC 5358): name the school's own networks",
                );
            }
        }
        self.networks(Some(texts))
    }

    fn host_name(&mut self, text: &str, span: &std::ops::Range<usize>) -> Option<HostName> {
        match HostName::parse(text) {
            Ok(name) => Some(name),
            Err(error) => {
                let what = format!("`{text}` is no name: {error}");
                self.document.problem(span, what, "as in \"college.example\"; its subdomains are meant as well");
                None
            }
        }
    }
}

pub(super) fn notes(config: &Config, file: &Path) -> Option<Problem> {
    let doors = &config.listen.dns;
    let servers = config.resolver.servers.iter().chain(config.dns.zones.iter().flat_map(|zone| &zone.servers));
    let ourselves = servers.into_iter().find(|server| doors.contains(server))?;
    Some(Problem::of_file(
        file,
        format!("our DNS would ask itself: {ourselves} stands in `[listen] dns` and among the servers that it asks"),
        "name the provider's servers in `[resolver] servers`",
    ))
}
