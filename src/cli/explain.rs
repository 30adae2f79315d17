//! `ecluse explain`: the decision the gateway would take, and why.

use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};

use super::check::{EXIT_PROBLEMS, Images, Loaded, load_rules};
use crate::access::{
    Access, Carrier, Client, Ech, GroupName, HostName, IdentitySource, IdentityStrength, PersonName, Protocol, Scheme,
    Target, Timestamp, Visit,
};
use crate::clock::Clock;
use crate::config::Config;
use crate::policy::{Explanation, Language, Ruleset, begins_with_hello, target_of_connect, target_of_url};

/// Asks the rules about one access without a running gateway. Nothing is resolved nor dialled.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ExplainArgs {
    /// What somebody wants to see: http://… or https://…
    #[arg(long, required_unless_present = "connect", conflicts_with = "connect")]
    pub url: Option<String>,
    /// Or the tunnel that a browser asks for: HOST:PORT
    #[arg(long, value_name = "HOST:PORT")]
    pub connect: Option<String>,
    /// The client's address.
    #[arg(long, value_name = "ADDR", required_unless_present_any = ["group", "person"])]
    pub client: Option<IpAddr>,
    /// A person of people.csv.
    #[arg(long, value_name = "NAME")]
    pub person: Option<String>,
    /// A group of the policy, instead of what is known of the client; may be given again.
    #[arg(long, value_name = "GROUP")]
    pub group: Vec<String>,
    /// The room the client is in. No rule asks for it so far.
    #[arg(long)]
    pub room: Option<String>,
    /// What is spoken in the tunnel, as the log's column says it: tls, ssh, openvpn, other… With an http:// URL: websocket, doh.
    #[arg(long)]
    pub protocol: Option<Protocol>,
    /// The server name of the ClientHello.
    #[arg(long, value_name = "NAME")]
    pub sni: Option<String>,
    /// The ClientHello bears an encrypted one: real (its keys are known) or unknown.
    #[arg(long, value_name = "real|unknown")]
    pub ech: Option<Ech>,
    /// A device without a setting dials an address that our DNS did not give it.
    #[arg(long)]
    pub no_dns: bool,
    #[arg(long)]
    pub port: Option<u16>,
    /// The origin's address, where lists of addresses are to be asked too.
    #[arg(long, value_name = "ADDR")]
    pub address: Option<IpAddr>,
    /// When (RFC 3339); now where it is left out.
    #[arg(long, value_name = "TIME")]
    pub at: Option<Timestamp>,
    /// One JSON object on stdout.
    #[arg(long)]
    pub json: bool,
}

/// Prints the explanation on stdout.
///
/// # Errors
/// The arguments name nothing that exists, or the lists cannot be compiled.
pub fn run(args: &ExplainArgs, config: Option<&Path>, state: Option<&Path>) -> anyhow::Result<ExitCode> {
    let rules = match Config::load(config, state) {
        Ok(config) => load_rules(&config, Images::Fresh)?,
        Err(problems) => Err(problems),
    };
    let Loaded { ruleset, .. } = match rules {
        Ok(loaded) => loaded,
        Err(problems) => {
            writeln!(std::io::stderr(), "{problems}")?;
            return Ok(ExitCode::from(EXIT_PROBLEMS));
        }
    };
    let access = access(args, &ruleset, &Clock::System)?;
    let explanation = ruleset.explain(&access);
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut out, &explanation)?;
        writeln!(out)?;
    } else {
        print(&explanation, &access, &ruleset, &mut out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn access(args: &ExplainArgs, ruleset: &Ruleset, clock: &Clock) -> anyhow::Result<Access> {
    let target = target(args)?;
    let method = if target.scheme == Scheme::Tunnel { "CONNECT" } else { "GET" };
    Ok(Access {
        client: Arc::new(client(args, ruleset)?),
        target,
        method: method.into(),
        visit: Visit::Unknown,
        start: args.at.unwrap_or_else(|| clock.now()),
    })
}

fn target(args: &ExplainArgs) -> anyhow::Result<Target> {
    let sni = args.sni.as_deref().map(HostName::parse).transpose().context("--sni")?;
    let mut target = match (&args.url, &args.connect) {
        (Some(url), _) => target_of_url(url).map_err(|e| anyhow!("--url: {e}"))?,
        (None, Some(connect)) => {
            target_of_connect(connect, Protocol::Tls, None).map_err(|e| anyhow!("--connect: {e}"))?
        }
        (None, None) => bail!("what is to be reached? --url or --connect"),
    };
    let in_request = args.protocol.is_none_or(|protocol| protocol.carrier() == Carrier::Http);
    if target.scheme != Scheme::Tunnel && (sni.is_some() || !in_request) {
        bail!("--sni and --protocol are about a tunnel: with --connect or an https:// URL");
    }
    target.protocol = args.protocol.unwrap_or(target.protocol);
    if args.ech.is_some() && !(target.scheme == Scheme::Tunnel && begins_with_hello(target.protocol)) {
        bail!("--ech is about TLS, DTLS and QUIC: with --connect or an https:// URL");
    }
    target.ech = args.ech;
    target.no_dns = args.no_dns;
    target.other_name = sni.filter(|sni| target.host.name() != Some(sni));
    target.port = args.port.unwrap_or(target.port);
    target.address = args.address;
    Ok(target)
}

fn client(args: &ExplainArgs, ruleset: &Ruleset) -> anyhow::Result<Client> {
    for group in &args.group {
        if ruleset.group(&GroupName::from(group.as_str())).is_none() {
            let known: Vec<&str> = ruleset.groups().iter().map(|group| group.name.as_str()).collect();
            bail!("--group: the policy has no group `{group}`; it has {}", known.join(", "));
        }
    }
    let people = ruleset.people();
    let named = args.person.as_deref().map(PersonName::from);
    let written = named.as_ref().and_then(|person| people.person(person));
    if let (Some(person), None, true) = (&named, written, args.group.is_empty()) {
        bail!("--person: people.csv does not name `{person}`; say the group with --group");
    }
    // An address of no network (RFC 5737) where only the group or the person was said.
    let address = args.client.or(written.map(|(address, _)| address)).unwrap_or(IpAddr::from([192, 0, 2, 1]));
    let mut client = Client::unknown(address, 0);
    let occupant = people.occupant(client.address).map(|(person, groups)| (person.clone(), groups));
    let (person, groups) = match (named, written) {
        (Some(person), written) => (Some(person), written.map_or(&[][..], |(_, groups)| groups)),
        (None, _) => occupant.map_or((None, &[][..]), |(person, groups)| (Some(person), groups)),
    };
    if person.is_some() {
        (client.source, client.strength) = (IdentitySource::AddressMap, IdentityStrength::Weak);
    }
    client.person = person;
    client.groups = match args.group.is_empty() {
        true => groups.to_vec(),
        false => args.group.iter().map(|group| GroupName::from(group.as_str())).collect(),
    };
    Ok(client)
}

fn print(e: &Explanation, access: &Access, ruleset: &Ruleset, out: &mut impl Write) -> std::io::Result<()> {
    let target = &access.target;
    let groups: Vec<&str> = ruleset.groups_of(&access.client).iter().map(|group| group.name.as_str()).collect();
    writeln!(out, "{}  {} {}:{}", e.action, access.method, target.host, target.port)?;
    writeln!(out, "  client      {} ({})", access.client.address, groups.join(", "))?;
    writeln!(out, "  time        {}", access.start)?;
    writeln!(out, "  stage       {}", e.stage)?;
    writeln!(out, "  rule        {}, {}", e.rule, ruleset.rule_label(&e.rule, Language::French))?;
    if let Some(category) = &e.category {
        writeln!(out, "  category    {category}, {}", ruleset.category_label(category, Language::French))?;
    }
    if let Some(list) = &e.list {
        let date = e.source_date.as_ref().map_or(String::new(), |date| format!(", of {date}"));
        writeln!(out, "  list        {list}{date}")?;
    }
    if let Some(entry) = &e.entry {
        writeln!(out, "  entry       {entry} ({})", e.line.as_deref().unwrap_or("?"))?;
    }
    if let Some(author) = &e.author {
        writeln!(out, "  author      {author}")?;
    }
    if !e.duties.is_empty() {
        writeln!(out, "  duties      {}", e.duties.join(", "))?;
    }
    writeln!(out, "  rules       {}", e.rules_version)?;
    for (i, considered) in e.considered.iter().enumerate() {
        let word = if i == 0 { "considered" } else { "" };
        writeln!(out, "  {word:10}  {:3} {}: {}", i + 1, considered.rule, considered.verdict)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::Image;

    fn ruleset() -> Ruleset {
        let policy = "default = \"allow\"\n[groups.eleves]\ndefault = true\n[groups.enseignants]\n[[rule]]\nname = \"jeux\"\n\
                      who = [\"eleves\"]\nhosts = [\"jeux.example\"]\naction = \"refuse\"\n\
                      [[rule]]\nname = \"caches\"\nech = [\"real\"]\naction = \"refuse\"\n\
                      [[rule]]\nname = \"sans-dns\"\nno_dns = true\naction = \"refuse\"\n";
        let people = "address,person,groups\n10.0.0.7,a.martin,enseignants\n";
        let files = (Path::new("policy.toml"), Path::new("people.csv"));
        Ruleset::from_texts((files.0, policy), (files.1, people), Arc::new(Image::empty())).unwrap()
    }

    fn explained(args: ExplainArgs) -> String {
        let ruleset = ruleset();
        match access(&args, &ruleset, &Clock::manual(Timestamp::default())) {
            Ok(access) => format!("{} by {}", ruleset.explain(&access).action, ruleset.explain(&access).rule),
            Err(e) => format!("error: {e:#}"),
        }
    }

    #[test]
    fn a_client_is_known_by_address_person_or_group() {
        let asked = || ExplainArgs { url: Some("https://jeux.example/".to_owned()), ..ExplainArgs::default() };
        let from = |address: &str| address.parse().ok();
        assert_eq!(explained(ExplainArgs { client: from("10.0.0.8"), ..asked() }), "refuse by jeux");
        assert_eq!(explained(ExplainArgs { client: from("10.0.0.7"), ..asked() }), "tunnel by default");
        assert_eq!(explained(ExplainArgs { person: Some("a.martin".to_owned()), ..asked() }), "tunnel by default");
        let pupil = ExplainArgs { client: from("10.0.0.7"), group: vec!["eleves".to_owned()], ..asked() };
        assert_eq!(explained(pupil), "refuse by jeux");
        let nobody = ExplainArgs { person: Some("x".to_owned()), ..asked() };
        assert_eq!(explained(nobody), "error: --person: people.csv does not name `x`; say the group with --group");
        let no_group = ExplainArgs { group: vec!["x".to_owned()], ..asked() };
        assert_eq!(explained(no_group), "error: --group: the policy has no group `x`; it has eleves, enseignants");
    }

    #[test]
    fn what_is_seen_in_a_tunnel_can_be_said() {
        let asked = ExplainArgs {
            connect: Some("example.fr:443".to_owned()),
            sni: Some("JEUX.example".to_owned()),
            group: vec!["eleves".to_owned()],
            ..ExplainArgs::default()
        };
        assert_eq!(explained(asked), "refuse by jeux");
        let plain = ExplainArgs {
            url: Some("http://example.fr/".to_owned()),
            protocol: Some(Protocol::Tls),
            ..ExplainArgs::default()
        };
        assert!(explained(plain).starts_with("error: --sni and --protocol"));
        let hidden = |url: &str| ExplainArgs {
            url: Some(url.to_owned()),
            ech: Some(Ech::Real),
            group: vec!["eleves".to_owned()],
            ..ExplainArgs::default()
        };
        assert_eq!(explained(hidden("https://example.fr/")), "refuse by caches");
        assert!(explained(hidden("http://example.fr/")).starts_with("error: --ech"));
        for (no_dns, expected) in [(true, "refuse by sans-dns"), (false, "forward by default")] {
            let url = Some("http://example.fr/".to_owned());
            let args = ExplainArgs { url, no_dns, group: vec!["eleves".to_owned()], ..ExplainArgs::default() };
            assert_eq!(explained(args), expected);
        }
    }
}
