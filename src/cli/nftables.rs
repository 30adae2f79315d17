//! `ecluse nftables`: the rules of the firewall that bring connections to the transparent doors in use.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use ipnet::IpNet;

use crate::config::{Config, Divert};

/// The mark of packets that are ours, and the routing table that keeps them here (TPROXY). Ours alone as long as nobody
/// else uses it: the number of the door for all connections.
const MARK: u32 = 3130;

/// Print what brings connections to the transparent doors, for `nft -f -`.
#[derive(Debug, Clone, clap::Args)]
pub struct NftablesArgs {
    /// Print the policy routing of `mode = "tproxy"` and of the doors for datagrams instead, for `sh`.
    #[arg(long)]
    pub routing: bool,
}

/// Prints the rules for the configuration in use.
///
/// # Errors
/// The output cannot be written.
pub fn run(args: &NftablesArgs, config: Option<&Path>, state: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = match Config::load(config, state) {
        Ok(config) => config,
        Err(problems) => return Ok(super::wrong(&problems)),
    };
    let text = if args.routing { Ok(routing(&config)) } else { rules(&config) };
    match text {
        Ok(text) => {
            std::io::stdout().lock().write_all(text.as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(why) => Ok(super::wrong(&why)),
    }
}

/// What brings connections here, as a file of nftables; or what is missing in the configuration.
fn rules(config: &Config) -> Result<String, String> {
    let (listen, transparent) = (&config.listen, &config.transparent);
    if listen.transparent_http.is_empty() && listen.transparent_tls.is_empty() && listen.transparent_udp.is_empty() {
        return Err(
            "no transparent door is open\n  help: set `transparent_http` and `transparent_tls` in `[listen]`, as in \
             [\"0.0.0.0:3129\", \"[::]:3129\"]"
                .to_owned(),
        );
    }
    if transparent.interfaces.is_empty() {
        return Err(
            "it is not known whose connections to bring here\n  help: name the interfaces that clients come in by \
             in `[transparent] interfaces`, as in [\"eth1\"]"
                .to_owned(),
        );
    }
    let mut text = String::new();
    for gap in config.past_the_doors() {
        let _ = writeln!(
            text,
            "# NOTE: {gap}.\n# Open the missing doors in [listen], or let this router forward none of it."
        );
    }
    let _ = write!(
        text,
        "# Brings the clients' connections to Écluse. Made by `ecluse nftables`; load with `nft -f`.\n\
         # Loading it again replaces it; `nft delete table inet ecluse` takes it away.\n\
         table inet ecluse {{}}\n\
         delete table inet ecluse\n\
         table inet ecluse {{\n\
         \tset clients {{\n\
         \t\ttype ifname\n\
         \t\telements = {{ {} }}\n\
         \t}}\n\n",
        transparent.interfaces.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
    );
    names(&mut text, config);
    match transparent.mode {
        _ if doors(config).is_empty() => {}
        Divert::Redirect => redirect(&mut text, config),
        Divert::Tproxy => tproxy(&mut text, config),
    }
    if !listen.transparent_udp.is_empty() {
        datagrams(&mut text, config);
    }
    text.push_str(
        "\n\t# QUIC that no door takes: a browser that is told so at once falls back to TCP.\n\
         \tchain quic {\n\
         \t\ttype filter hook forward priority filter; policy accept;\n\
         \t\tiifname @clients udp dport 443 reject\n\
         \t}\n\
         }\n",
    );
    Ok(text)
}

/// Names, whatever server a client asks, this machine too. Before the doors for everything else, whichever way those are reached.
fn names(text: &mut String, config: &Config) {
    let doors = name_doors(config);
    if doors.is_empty() {
        return;
    }
    text.push_str(
        "\t# Names, whatever server a client asks.\n\
         \tchain names {\n\
         \t\ttype nat hook prerouting priority dstnat - 1; policy accept;\n\
         \t\tiifname != @clients return\n",
    );
    for network in &config.transparent.except {
        let _ = writeln!(text, "\t\tfib daddr type != local {} daddr {network} return", family(network));
    }
    for door in doors {
        let (proto, family) = (nfproto(door), if door.is_ipv4() { "ip" } else { "ip6" });
        let _ =
            writeln!(text, "\t\tmeta nfproto {proto} meta l4proto {{ tcp, udp }} th dport 53 dnat {family} to {door}");
    }
    text.push_str("\t}\n\n");
}

/// The doors for names that a network reaches, one a family: an answer seems to come from whoever was asked.
fn name_doors(config: &Config) -> Vec<SocketAddr> {
    let reached =
        |v4: bool| config.listen.dns.iter().copied().find(|door| door.is_ipv4() == v4 && !door.ip().is_loopback());
    [true, false].into_iter().filter_map(reached).collect()
}

/// By TPROXY, whatever brings the rest: connection tracking does not tell where a redirected datagram was to go.
fn datagrams(text: &mut String, config: &Config) {
    text.push_str(
        "\n\t# To the very port that the clients dial: answers leave from there.\n\
         \tchain datagrams {\n\
         \t\ttype filter hook prerouting priority mangle; policy accept;\n",
    );
    leave_alone(text, config);
    for door in &config.listen.transparent_udp {
        bring(text, &format!("udp dport {}", door.port()), *door);
    }
    text.push_str("\t}\n");
}

/// One line of TPROXY.
fn bring(text: &mut String, match_: &str, door: SocketAddr) {
    let family = if door.is_ipv4() { "ip" } else { "ip6" };
    let to = if door.ip().is_unspecified() { format!(":{}", door.port()) } else { door.to_string() };
    let proto = nfproto(door);
    let _ = writeln!(text, "\t\tmeta nfproto {proto} {match_} tproxy {family} to {to} meta mark set {MARK} accept");
}

fn redirect(text: &mut String, config: &Config) {
    text.push_str(
        "\tchain divert {\n\
         \t\ttype nat hook prerouting priority dstnat; policy accept;\n",
    );
    leave_alone(text, config);
    for (match_, door) in doors(config) {
        let family = if door.is_ipv4() { "ip" } else { "ip6" };
        let to = match door.ip().is_unspecified() {
            true => format!("redirect to :{}", door.port()),
            false => format!("dnat {family} to {door}"),
        };
        let _ = writeln!(text, "\t\tmeta nfproto {} {match_} {to}", nfproto(door));
    }
    text.push_str("\t}\n");
}

fn tproxy(text: &mut String, config: &Config) {
    let _ = writeln!(
        text,
        "\tchain divert {{\n\
         \t\ttype filter hook prerouting priority mangle; policy accept;\n\
         \t\t# What belongs to a connection that we have, answers to clients' own addresses too.\n\
         \t\tmeta l4proto tcp socket transparent 1 meta mark set {MARK} accept"
    );
    leave_alone(text, config);
    for door in name_doors(config) {
        let _ = writeln!(text, "\t\tmeta nfproto {} tcp dport 53 return", nfproto(door));
    }
    for (match_, door) in doors(config) {
        bring(text, match_, door);
    }
    text.push_str("\t}\n");
}

/// Not of a client, to the gateway itself, or excepted.
fn leave_alone(text: &mut String, config: &Config) {
    text.push_str("\t\tiifname != @clients return\n\t\tfib daddr type local return\n");
    for network in &config.transparent.except {
        let _ = writeln!(text, "\t\t{} daddr {network} return", family(network));
    }
}

/// What to match and where to bring it, one door a family and kind; port 80 first.
fn doors(config: &Config) -> Vec<(&'static str, SocketAddr)> {
    let listen = &config.listen;
    let of = |doors: &[SocketAddr], v4: bool| doors.iter().copied().find(|door| door.is_ipv4() == v4);
    let mut all = Vec::new();
    for (match_, doors) in [("tcp dport 80", &listen.transparent_http), ("meta l4proto tcp", &listen.transparent_tls)] {
        all.extend([true, false].into_iter().filter_map(|v4| Some((match_, of(doors, v4)?))));
    }
    all
}

fn family(network: &IpNet) -> &'static str {
    if matches!(network, IpNet::V4(_)) { "ip" } else { "ip6" }
}

fn nfproto(door: SocketAddr) -> &'static str {
    if door.is_ipv4() { "ipv4" } else { "ipv6" }
}

/// The policy routing that keeps marked packets on this machine; safe to run again.
fn routing(config: &Config) -> String {
    let mut text =
        String::from("# Policy routing for Écluse. Made by `ecluse nftables --routing`; run with `sh`, as root.\n");
    if config.transparent.mode == Divert::Redirect && config.listen.transparent_udp.is_empty() {
        text.push_str("# `mode = \"redirect\"` in [transparent] takes none.\n");
        return text;
    }
    for (ip, all) in [("ip -4", "0.0.0.0/0"), ("ip -6", "::/0")] {
        let _ = write!(
            text,
            "{ip} rule del fwmark {MARK} lookup {MARK} 2> /dev/null || true\n\
             {ip} rule add fwmark {MARK} lookup {MARK}\n\
             {ip} route replace local {all} dev lo table {MARK}\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOORS: &str = "[listen]\ntransparent_http = [\"0.0.0.0:3129\", \"[::]:3129\"]\n\
                         transparent_tls = [\"0.0.0.0:3130\", \"[::]:3130\"]\n";

    const DATAGRAMS: &str = "transparent_udp = [\"0.0.0.0:443\", \"[::]:443\"]\n";

    fn config(text: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ecluse.toml");
        std::fs::write(&file, text).unwrap();
        Config::load(Some(&file), Some(folder.path())).unwrap()
    }

    #[test]
    fn the_templates_are_what_the_program_prints() {
        for (mode, template) in [
            ("redirect", include_str!("../../systemd/ecluse-redirect.nft")),
            ("tproxy", include_str!("../../systemd/ecluse-tproxy.nft")),
        ] {
            let config = config(&format!("{DOORS}[transparent]\nmode = \"{mode}\"\ninterfaces = [\"eth1\"]"));
            assert_eq!(rules(&config).unwrap(), template, "{mode}");
        }
        let config_of_all = config(&format!("{DOORS}{DATAGRAMS}[transparent]\ninterfaces = [\"eth1\"]"));
        assert_eq!(rules(&config_of_all).unwrap(), include_str!("../../systemd/ecluse-datagrams.nft"));
        assert_eq!(routing(&config_of_all), include_str!("../../systemd/ecluse-tproxy-routing.sh"));
        let config = config(&format!("{DOORS}[transparent]\nmode = \"tproxy\""));
        assert_eq!(routing(&config), include_str!("../../systemd/ecluse-tproxy-routing.sh"));
    }

    #[test]
    fn what_the_rules_cannot_know_is_asked_for() {
        let closed = rules(&config("[transparent]\ninterfaces = [\"eth1\"]")).unwrap_err();
        assert!(closed.contains("transparent_http"), "{closed}");
        let nobody = rules(&config(DOORS)).unwrap_err();
        assert!(nobody.contains("interfaces"), "{nobody}");
    }

    /// The chains of the kernel's hook in the order in which a packet meets them: what is taken first is not taken again.
    #[test]
    fn names_are_brought_to_our_dns_before_anything_else_takes_them() {
        let of = |mode: &str| {
            rules(&config(&format!(
                "{DOORS}dns = [\"127.0.0.1:5300\", \"10.131.0.1:5300\", \"[fd00::1]:5300\"]\n[transparent]\nmode = \"{mode}\"\n\
                 interfaces = [\"eth1\"]\nexcept = [\"10.131.0.0/16\"]"
            )))
            .unwrap()
        };
        let (redirect, tproxy) = (of("redirect"), of("tproxy"));
        for text in [&redirect, &tproxy] {
            for line in [
                "type nat hook prerouting priority dstnat - 1;",
                "fib daddr type != local ip daddr 10.131.0.0/16 return",
                "meta nfproto ipv4 meta l4proto { tcp, udp } th dport 53 dnat ip to 10.131.0.1:5300",
                "meta nfproto ipv6 meta l4proto { tcp, udp } th dport 53 dnat ip6 to [fd00::1]:5300",
            ] {
                assert!(text.contains(line), "{line} is not in\n{text}");
            }
            assert!(!text.contains("127.0.0.1"), "no network reaches it:\n{text}");
        }
        // TPROXY stands before: it must leave them.
        let at = |what: &str| tproxy.find(what).unwrap_or_else(|| panic!("{what} is not in\n{tproxy}"));
        assert!(at("ipv4 tcp dport 53 return") < at("ipv4 meta l4proto tcp tproxy"));
        assert!(at("ipv6 tcp dport 53 return") < at("ipv6 meta l4proto tcp tproxy"));
        assert!(!redirect.contains("53 return"));
    }

    #[test]
    fn what_passes_beside_the_doors_is_said() {
        let text = |listen: &str| {
            rules(&config(&format!("[listen]\n{listen}\n[transparent]\ninterfaces = [\"eth1\"]"))).unwrap()
        };
        let v4_only = text("transparent_http = [\"0.0.0.0:3129\"]\ntransparent_tls = [\"0.0.0.0:3130\"]");
        assert!(v4_only.starts_with("# NOTE: ") && v4_only.contains("over IPv6"), "{v4_only}");
        let both = text("transparent_tls = [\"0.0.0.0:3130\", \"[::]:3130\"]");
        assert!(!both.contains("NOTE"), "{both}");
    }

    #[test]
    fn a_door_at_one_address_and_an_exception_are_written_as_they_are() {
        let text = rules(&config(
            "[listen]\ntransparent_tls = [\"192.0.2.1:3130\"]\n[transparent]\ninterfaces = [\"br-1.5\"]\n\
             except = [\"10.131.0.0/16\", \"fd00::/8\"]",
        ))
        .unwrap();
        for line in [
            "elements = { \"br-1.5\" }",
            "ip daddr 10.131.0.0/16 return",
            "ip6 daddr fd00::/8 return",
            "meta nfproto ipv4 meta l4proto tcp dnat ip to 192.0.2.1:3130",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("nfproto ipv6"), "no door is open for it:\n{text}");
        let text = rules(&config(
            "[listen]\ntransparent_udp = [\"0.0.0.0:8443\"]\n[transparent]\ninterfaces = [\"eth1\"]\n\
             except = [\"10.131.0.0/16\"]",
        ))
        .unwrap();
        let brought = "meta nfproto ipv4 udp dport 8443 tproxy ip to :8443 meta mark set 3130 accept";
        assert!(text.contains(brought) && text.contains("ip daddr 10.131.0.0/16 return"), "{text}");
        assert!(!text.contains("redirect") && !text.contains("tcp"), "no door is open for TCP:\n{text}");
    }
}
