//! `[transparent]`: connections that the network brings here.

use std::net::SocketAddr;

use super::super::{Config, Divert, OriginMismatch, Transparent};
use super::{At, Check, Texts, WrittenTransparent, default, value_or};

/// `IFNAMSIZ` without its end (netdevice(7)).
const INTERFACE_MAX: usize = 15;

impl Check<'_> {
    pub(super) fn transparent(&mut self, written: WrittenTransparent) -> Transparent {
        let mode = self.text(written.mode, default::TRANSPARENT_MODE, |text| match text {
            "redirect" => Ok(Divert::Redirect),
            "tproxy" => Ok(Divert::Tproxy),
            _ => Err((format!("`{text}` is none of: redirect, tproxy"), "")),
        });
        let origin_mismatch = self.text(written.origin_mismatch, default::ORIGIN_MISMATCH, |text| match text {
            "dial-resolved" => Ok(OriginMismatch::DialResolved),
            "refuse" => Ok(OriginMismatch::Refuse),
            "allow" => Ok(OriginMismatch::Allow),
            _ => Err((format!("`{text}` is none of: dial-resolved, refuse, allow"), "")),
        });
        let keep = written.keep_client_address;
        if let Some(at) = keep.as_ref().filter(|at| at.value && mode == Divert::Redirect) {
            self.document.problem(
                &at.span,
                "answers to the clients' own addresses come back by policy routing, which `redirect` has none of",
                "set `mode = \"tproxy\"`",
            );
        }
        Transparent {
            mode,
            interfaces: self.interfaces(written.interfaces),
            except: self.networks(written.except),
            origin_mismatch,
            keep_client_address: value_or(keep, false),
            silence: self.millis(&written.silence_ms, default::TRANSPARENT_SILENCE_MS, 10..=10_000),
        }
    }

    /// They end up in rules of the firewall: nothing that is not a name may.
    fn interfaces(&mut self, texts: Option<At<Texts>>) -> Vec<String> {
        let mut interfaces = Vec::new();
        for At { value: text, span } in texts.map(|at| at.value).unwrap_or_default() {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
            match !text.is_empty() && text.len() <= INTERFACE_MAX && text.chars().all(plain) {
                true => interfaces.push(text),
                false => self.document.problem(
                    &span,
                    format!("`{text}` is no name of an interface"),
                    "as in \"eth1\" or \"br-eleves\": `ip link` shows them",
                ),
            }
        }
        interfaces
    }
}

impl Config {
    /// What clients of the transparent doors can say that passes beside them unseen, for want of a door of that family: a
    /// sentence each.
    pub fn past_the_doors(&self) -> Vec<String> {
        let listen = &self.listen;
        let has = |doors: &[SocketAddr], v4: bool| doors.iter().any(|door| door.is_ipv4() == v4);
        let doors = [&listen.transparent_http, &listen.transparent_tls];
        if doors.iter().all(|doors| doors.is_empty()) {
            return Vec::new();
        }
        let mut gaps = Vec::new();
        for (v4, family) in [(true, "IPv4"), (false, "IPv6")] {
            match doors.map(|doors| has(doors, v4)) {
                [_, true] => {}
                [true, false] => gaps.push(format!(
                    "`[listen] transparent_tls` has no door for {family}: all that clients say over {family} but to TCP port 80 \
                     passes unfiltered and unwritten"
                )),
                [false, false] => gaps.push(format!(
                    "no transparent door is for {family}: what clients say over {family} passes unfiltered and unwritten"
                )),
            }
            if !has(&listen.dns, v4) && has(&listen.dns, !v4) {
                gaps.push(format!(
                    "`[listen] dns` has no door for {family}: names that clients ask over {family} by UDP are answered elsewhere"
                ));
            }
        }
        gaps
    }
}

pub(super) fn notes(config: &Config, note: &mut impl FnMut(&str, &str)) {
    let mut doors = config.listen.transparent_http.iter().chain(&config.listen.transparent_tls).peekable();
    let datagrams = &config.listen.transparent_udp;
    if doors.peek().is_none() && datagrams.is_empty() {
        return;
    }
    if config.transparent.interfaces.is_empty() {
        note(
            "`[transparent] interfaces` is empty: `ecluse nftables` cannot say whose connections to bring here",
            "name the interfaces that clients come in by, as in [\"eth1\"]",
        );
    }
    if config.transparent.mode == Divert::Redirect && doors.any(|door| door.ip().is_loopback()) {
        note(
            "a transparent door is on loopback: the network brings nobody there",
            "as in [\"0.0.0.0:3129\", \"[::]:3129\"]",
        );
    }
    for gap in config.past_the_doors() {
        note(
            &gap,
            "open the missing doors, as in [\"0.0.0.0:3130\", \"[::]:3130\"]; or let the router forward none of it, if the \
             school does without",
        );
    }
    if config.parent.is_some() && !datagrams.is_empty() {
        note(
            "datagrams do not pass a parent proxy: what `[listen] transparent_udp` takes is refused, QUIC so that browsers use TCP",
            "names under `[parent] no_proxy` are reached from here",
        );
    }
    if config.parent.is_some() {
        note(
            "a parent proxy resolves the names: `[transparent] origin_mismatch` holds for what is reached without it",
            "what has a name goes where the parent finds that name",
        );
    }
}
