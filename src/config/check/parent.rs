//! `[parent]`: the proxy that this gateway itself goes through.

use std::net::IpAddr;
use std::ops::Range;

use super::super::{Fallback, NoProxy, Parent};
use super::{At, Check, WrittenParent, network, value_or};
use crate::access::{Host, HostName};

impl Check<'_> {
    /// `None` where no URL is written: then the other keys say nothing.
    pub(super) fn parent(&mut self, written: WrittenParent) -> Option<Parent> {
        let fallback = self.text(written.fallback, "refuse", |text| match text {
            "refuse" => Ok(Fallback::Refuse),
            "direct" => Ok(Fallback::Direct),
            _ => Err((format!("`{text}` is none of: refuse, direct"), "")),
        });
        let mut no_proxy = NoProxy::default();
        for At { value: text, span } in written.no_proxy.map(|at| at.value).unwrap_or_default() {
            self.exception(&text, &span, &mut no_proxy);
        }
        let credentials = value_or(written.credentials_file, String::new());
        let At { value: url, span } = written.url.filter(|at| !at.value.is_empty())?;
        let (host, port) = self.parent_url(&url, &span)?;
        let credentials_file = (!credentials.is_empty()).then(|| self.directory.join(credentials));
        Some(Parent { host, port, credentials_file, fallback, no_proxy })
    }

    fn parent_url(&mut self, url: &str, span: &Range<usize>) -> Option<(Host, u16)> {
        const HELP: &str = "as in \"http://proxy.academie.example:3128\"";
        if url.contains('@') {
            let help =
                "write `user:password` into a file that only the gateway may read, and its path as `credentials_file`";
            self.document.secret_problem(span, "credentials do not belong in the URL", help);
            return None;
        }
        let Some(authority) = url.strip_prefix("http://").map(|rest| rest.strip_suffix('/').unwrap_or(rest)) else {
            self.document.problem(span, format!("`{url}` is no URL of a proxy spoken to in clear"), HELP);
            return None;
        };
        let parsed = authority.rsplit_once(':').and_then(|(host, port)| {
            let port = port.parse().ok().filter(|port| *port != 0)?;
            Some((Host::parse(host).ok()?, port))
        });
        if parsed.is_none() {
            self.document.problem(span, format!("`{authority}` is no host with a port"), HELP);
        }
        parsed
    }

    fn exception(&mut self, text: &str, span: &Range<usize>, no_proxy: &mut NoProxy) {
        if text.contains('/') || text.parse::<IpAddr>().is_ok() {
            match network(text) {
                Ok(network) => no_proxy.networks.push(network),
                Err((what, help)) => self.document.problem(span, what, help),
            }
            return;
        }
        match HostName::parse(text) {
            Ok(name) => no_proxy.names.push(name),
            Err(error) => self.document.problem(
                span,
                format!("`{text}` is no name and no network: {error}"),
                "as in \"intranet.example\" (its subdomains are meant as well) or \"10.131.0.0/16\"",
            ),
        }
    }
}

impl NoProxy {
    /// A name by itself or its parents; an address by its networks. A name's addresses are not looked up for this.
    pub fn covers(&self, host: &Host) -> bool {
        match host {
            Host::Name(name) => self.names.iter().any(|parent| name.is_within(parent)),
            Host::Address(address) => self.networks.iter().any(|network| network.contains(address)),
        }
    }
}
