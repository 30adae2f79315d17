use super::check::{WrittenFile, check};
use super::*;

const STATE: &str = "/state";

fn checked(text: &str) -> Result<Config, Problems> {
    match check(Path::new("/etc/ecluse/ecluse.toml"), text, Path::new(STATE)) {
        (config, problems) if problems.is_empty() => Ok(config),
        (_, problems) => Err(Problems(problems)),
    }
}

/// Line and message of every problem.
fn problems(text: &str) -> Vec<String> {
    let problems = checked(text).expect_err("the configuration has problems").0;
    problems.iter().map(|p| format!("{}:{}: {}", p.line.unwrap(), p.column.unwrap(), p.what)).collect()
}

const SHIPPED: &str = include_str!("../../systemd/ecluse.toml");

#[test]
fn the_shipped_file_shows_every_key_with_its_default() {
    assert_eq!(checked(SHIPPED).unwrap(), checked("").unwrap());
    let shown: toml::Table = SHIPPED.parse().unwrap();
    let mut keys: Vec<String> = Vec::new();
    for (section, table) in &shown {
        keys.extend(table.as_table().unwrap().keys().map(|key| format!("{section}.{key}")));
    }
    let mut declared = check::keys();
    keys.sort_unstable();
    declared.sort_unstable();
    assert_eq!(keys, declared, "every key of the code stands in systemd/ecluse.toml");
    assert_eq!(shown.len(), WrittenFile::KEYS.len());
}

#[test]
fn the_defaults_are_what_their_reasons_say() {
    let config = checked("").unwrap();
    assert_eq!(config.listen.explicit, default::EXPLICIT);
    assert!(config.listen.explicit.iter().all(|address| address.ip().is_loopback()));
    assert_eq!(config.limits.header, Duration::from_secs(10));
    assert_eq!(config.limits.tunnel_idle, Duration::from_secs(3600));
    assert_eq!((config.retention.accesses_days, config.retention.connections_days), (183, 365));
    assert_eq!(config.journal.on_full, OnFull::Refuse);
    assert_eq!(config.guard.allow, []);
    assert_eq!(config.persons.recipients, Recipients::Nobody);
    assert_eq!(config.rules, Rules { directory: "/state/starter".into(), starter: true });
    assert_eq!(config.paths.journal, Path::new("/state/journal"));
    assert_eq!(config.paths, Paths::under(Path::new(STATE)));
}

#[test]
fn without_a_file_a_trial_reaches_origins_on_this_machine_and_records_persons_for_itself() {
    let config = Config::load(None, Some(Path::new(STATE))).unwrap();
    assert!(config.listen.explicit.iter().all(|address| address.ip().is_loopback()));
    assert_eq!(config.guard.allow.len(), default::TRIAL_GUARD_ALLOW.len());
    assert!(config.guard.allow.iter().all(|network| network.addr().is_loopback()));
    assert_eq!(config.persons.recipients, Recipients::Trial { key_file: "/state/trial-recipient.key".into() });
    assert!(config.rules.starter);
    assert_eq!(config.file, None);
}

#[test]
fn every_problem_is_told_at_once_in_the_order_of_the_file() {
    let found = problems(
        "[college]\ncode = \"013\"\ncontact = \"nobody\"\nnom = \"x\"\n[listen]\n\
         explicit = [\"127.0.0.1\", \"[::1]:3128\", \"[::1]:3128\", 3]\nexplicite = []\n\
         [limits]\nheader_ms = \"10 s\"\nheader_bytes = 12\ndial_ms = -1\n[journal]\non_full = \"drop\"\n\
         [persons]\nrecipients = [\"AGE-SECRET-KEY-1\"]\n[guard]\nallow = [\"10.0.0.1/8\"]\n[logs]\nlevel = \"info\"\n",
    );
    assert_eq!(
        found,
        [
            "2:8: `013` is no UAI code: seven digits and a capital letter, as in 0131234A",
            "3:11: `nobody` is no mail address",
            "4:1: unknown key `nom`",
            "6:13: `127.0.0.1` is no address with a port",
            "6:40: `[::1]:3128` stands here twice",
            "6:54: expected a text in quotes, found a whole number",
            "7:1: unknown key `explicite`",
            "9:13: expected a whole number, found a text",
            "10:16: 12 is not between 8192 and 1048576",
            "11:11: the number is out of range",
            "13:11: `drop` is none of: refuse, allow",
            "15:15: this is no age recipient: invalid Bech32 encoding",
            "17:10: `10.0.0.1/8` is an address inside a network",
            "18:2: unknown key `logs`",
        ]
    );
}

#[test]
fn a_secret_pasted_by_mistake_is_not_repeated_in_what_is_said_of_it() {
    let text = "[persons]\nrecipients = [\"AGE-SECRET-KEY-1QQQ\"]\n";
    let problem = &checked(text).unwrap_err().0[0];
    assert!(!problem.to_string().contains("QQQ"), "{problem}");
}

#[test]
fn faults_of_syntax_are_all_told_and_hide_nothing_wrong_behind_guesses() {
    let found = problems("[college\ncode = 013\n[listen]\nexplicit = [\"a\"\n[limits]\ndial_ms = = 3\n");
    assert!(found.len() >= 3, "{found:#?}");
    assert!(found[0].starts_with("1:"), "{found:#?}");
    assert!(found.iter().all(|problem| !problem.contains("unknown key")), "{found:#?}");
}

#[test]
fn a_problem_is_printed_like_a_compiler_s() {
    let text = "# école\n[listen]\nexplicite = [\"127.0.0.1:3128\"]\n";
    let problems = checked(text).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "error: unknown key `explicite`\n\
         \u{20}--> /etc/ecluse/ecluse.toml:3:1\n\
         \u{20} |\n\
         3 | explicite = [\"127.0.0.1:3128\"]\n\
         \u{20} | ^^^^^^^^^\n\
         \u{20} = help: did you mean `explicit`?\n\
         \n\
         1 problem"
    );
}

#[test]
fn a_caret_stands_under_its_word_behind_letters_of_two_bytes() {
    let problems = checked("[college]\nname = \"é\" \n\thead = 3\n").unwrap_err();
    let text = problems.to_string();
    assert!(text.contains("3 | \thead = 3\n  | \t       ^\n"), "{text}");
}

#[test]
fn paths_in_the_file_are_relative_to_the_file() {
    let config =
        checked("[rules]\ndirectory = \"rules\"\n[journal]\ndirectory = \"/j\"\n[store]\ndirectory = \"s\"\n").unwrap();
    assert_eq!(config.rules, Rules { directory: "/etc/ecluse/rules".into(), starter: false });
    assert_eq!(config.paths.journal, Path::new("/j"));
    assert_eq!(config.journal.directory, Path::new("/j"));
    assert_eq!(config.store.directory, Path::new("/etc/ecluse/s"));
}

#[test]
fn a_machine_without_a_role_is_a_problem() {
    assert_eq!(problems("[role]\ngateway = false\ncentral = false\n"), ["2:11: this machine would have no role"]);
    assert!(checked("[role]\ngateway = false\n[listen]\nexplicit = []\n").is_ok(), "a centre has no clients");
    assert_eq!(problems("[listen]\nexplicit = []\n"), ["2:12: nobody could come in"]);
}

#[test]
fn a_journal_too_small_for_its_segments_is_a_problem() {
    let found = problems("[journal]\nsegment_bytes = 67108864\nmax_bytes = 134217728\n");
    assert_eq!(found, ["3:13: 134217728 bytes hold less than four segments of 67108864"]);
}

#[test]
fn what_works_and_deserves_a_word_is_a_note() {
    let notes = |text: &str| checked(text).unwrap().notes.iter().map(|n| n.what.clone()).collect::<Vec<_>>();
    assert_eq!(notes("").len(), 3);
    let set = "[college]\ncode = \"0131234B\"\ncontact = \"filtrage@college.example\"\n[persons]\n\
               recipients = [\"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\"]\n";
    assert_eq!(notes(set), [""; 0]);
}

#[test]
fn what_passes_beside_the_transparent_doors_is_noted() {
    let gaps = |listen: &str| checked(&format!("[listen]\n{listen}\n")).unwrap().past_the_doors();
    let both =
        "transparent_http = [\"0.0.0.0:3129\", \"[::]:3129\"]\ntransparent_tls = [\"0.0.0.0:3130\", \"[::]:3130\"]";
    assert_eq!(gaps(both), [""; 0]);
    assert_eq!(gaps("transparent_udp = [\"0.0.0.0:443\"]"), [""; 0], "no TCP is brought here at all");
    for (listen, expected) in [
        (
            "transparent_http = [\"0.0.0.0:3129\"]\ntransparent_tls = [\"0.0.0.0:3130\"]",
            "no transparent door is for IPv6",
        ),
        ("transparent_tls = [\"[::]:3130\"]", "no transparent door is for IPv4"),
        (
            "transparent_http = [\"0.0.0.0:3129\", \"[::]:3129\"]\ntransparent_tls = [\"0.0.0.0:3130\"]",
            "`[listen] transparent_tls` has no door for IPv6",
        ),
        (&format!("{both}\ndns = [\"10.131.0.1:5300\"]"), "`[listen] dns` has no door for IPv6"),
    ] {
        let found = gaps(listen);
        assert_eq!(found.len(), 1, "{listen}: {found:?}");
        assert!(found[0].starts_with(expected), "{listen}: {found:?}");
        // An operator who checks the file hears of it, and of the cure.
        let config = checked(&format!("[listen]\n{listen}\n")).unwrap();
        let note = config.notes.iter().find(|note| note.what == found[0]).expect("a note");
        assert!(note.help.contains("open the missing doors"), "{}", note.help);
    }
}

#[test]
fn a_file_that_is_not_there_or_not_utf_8_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ecluse.toml");
    let said = |file: &Path| Config::load(Some(file), Some(Path::new(STATE))).unwrap_err().to_string();
    assert!(said(&file).contains("the configuration cannot be read"), "{}", said(&file));
    std::fs::write(&file, b"[college]\nname = \"Coll\xe8ge\"\n").unwrap();
    assert!(said(&file).contains("is not UTF-8 from line 2 on"), "{}", said(&file));
}

#[test]
fn a_parent_proxy_is_read_whole_or_not_at_all() {
    let config = checked(
        "[parent]\nurl = \"http://Proxy.Academie.example:3128/\"\ncredentials_file = \"parent.secret\"\n\
         fallback = \"direct\"\nno_proxy = [\"intranet.example\", \"10.131.0.0/16\", \"::1\"]\n",
    );
    let parent = config.unwrap().parent.unwrap();
    assert_eq!((parent.host.to_string().as_str(), parent.port), ("proxy.academie.example", 3128));
    assert_eq!(parent.credentials_file.as_deref(), Some(Path::new("/etc/ecluse/parent.secret")));
    assert_eq!(parent.fallback, Fallback::Direct);
    for (host, covered) in [
        ("intranet.example", true),
        ("www.intranet.example", true),
        ("myintranet.example", false),
        ("10.131.9.9", true),
        ("10.132.9.9", false),
        ("[::1]", true),
    ] {
        assert_eq!(parent.no_proxy.covers(&Host::parse(host).unwrap()), covered, "{host}");
    }
    assert_eq!(checked("[parent]\nfallback = \"direct\"\n").unwrap().parent, None);
    assert_eq!(
        problems(
            "[parent]\nurl = \"https://proxy.example:3128\"\nfallback = \"maybe\"\nno_proxy = [\"a b\", \"10.1.1.1/8\"]\n"
        ),
        [
            "2:7: `https://proxy.example:3128` is no URL of a proxy spoken to in clear",
            "3:12: `maybe` is none of: refuse, direct",
            "4:13: `a b` is no name and no network: the host contains a character that no host name has",
            "4:20: `10.1.1.1/8` is an address inside a network",
        ]
    );
    assert_eq!(problems("[parent]\nurl = \"http://proxy.example\"\n"), ["2:7: `proxy.example` is no host with a port"]);
}

#[test]
fn credentials_in_the_url_of_a_parent_proxy_are_refused_and_not_repeated() {
    let problem = &checked("[parent]\nurl = \"http://user:hunter2@proxy.example:3128\"\n").unwrap_err().0[0];
    assert!(problem.what.contains("credentials") && !problem.to_string().contains("hunter2"), "{problem}");
}

#[test]
fn our_dns_is_closed_until_it_is_opened_and_never_to_everybody() {
    let config = checked("").unwrap();
    assert!(config.listen.dns.is_empty());
    assert!(config.dns.clients.iter().all(|network| network.addr().is_loopback() || network.prefix_len() >= 7));
    assert_eq!(config.dns.clients.len(), default::DNS_CLIENTS.len());
    assert_eq!(config.dns.no_dns_after, Duration::from_secs(4200));
    let may_ask =
        ["10.131.0.7", "fd00::7", "192.0.2.1", "2001:db8::1"].map(|at| config.dns.may_ask(at.parse().unwrap()));
    assert_eq!(may_ask, [true, true, false, false]);
    let config = checked(
        "[listen]\ndns = [\"10.131.0.1:5300\"]\n[dns]\nrefused = \"block-page\"\nown_addresses = [\"::ffff:10.131.0.1\"]\n\
         private_names = [\"Intranet.example\"]\n\
         zones = { \"college.lan\" = [\"10.131.0.2\", \"10.131.0.3:5353\"], \"b.college.lan\" = [\"10.131.0.4\"] }\n",
    )
    .unwrap();
    let name = |text: &str| HostName::parse(text).unwrap();
    let zone = |text: &str| config.dns.zone(&name(text)).map(|zone| zone.servers[0].to_string());
    assert_eq!(zone("a.college.lan").as_deref(), Some("10.131.0.2:53"));
    assert_eq!(zone("a.b.college.lan").as_deref(), Some("10.131.0.4:53"), "the narrowest");
    assert_eq!(zone("xcollege.lan"), None);
    assert!(config.dns.may_be_private(&name("www.intranet.example")) && !config.dns.may_be_private(&name("a.example")));
    assert_eq!(config.dns.own_addresses, ["10.131.0.1".parse::<std::net::IpAddr>().unwrap()]);
    let found = problems(
        "[listen]\ndns = [\"0.0.0.0:5300\"]\n[dns]\nclients = [\"0.0.0.0/0\"]\nrefused = \"drop\"\n\
         own_addresses = [\"gateway\"]\nprivate_names = [\"10.0.0.1\"]\nzones = { \"lan\" = [] }\n",
    );
    let lines: Vec<&str> = found.iter().map(|problem| &problem[..2]).collect();
    assert_eq!(lines, ["2:", "4:", "5:", "6:", "7:", "8:"], "{found:#?}");
}

#[test]
fn a_server_for_the_log_is_read_whole_and_nothing_is_sent_in_clear() {
    let config = checked(
        "[store]\nkind = \"clickhouse\"\nendpoints = [\"https://a.example:8443/\", \"http://127.0.0.1:8123\"]\n\
         password_file = \"p\"\ncertificate_file = \"c.pem\"\nkey_file = \"k.pem\"\nkeep_hours = 48\n",
    )
    .unwrap();
    let server = &config.store.server;
    assert_eq!(config.store.kind, StoreKind::ClickHouse);
    assert_eq!(server.endpoints, ["https://a.example:8443", "http://127.0.0.1:8123"]);
    assert_eq!(server.password_file.as_deref(), Some(Path::new("/etc/ecluse/p")));
    assert_eq!(server.identity, Some(("/etc/ecluse/c.pem".into(), "/etc/ecluse/k.pem".into())));
    assert_eq!(server.keep, std::time::Duration::from_secs(48 * 3600));

    let one = |line: &str| problems(&format!("[store]\nkind = \"clickhouse\"\n{line}\n"));
    assert_eq!(one(""), ["2:8: no server is named"]);
    let said = one("endpoints = [\"http://clickhouse.example:8123\"]");
    assert!(said[1].contains("would send the log and the password in clear"), "{said:?}");
    let said = one("endpoints = [\"https://a.example/x\"]");
    assert!(said[1].contains("more than a host and a port"), "{said:?}");
    let said = one("endpoints = [\"https://a.example\"]\ncertificate_file = \"c.pem\"");
    assert_eq!(said, ["4:20: a certificate without its key"]);
    let told = checked("[store]\nendpoints = [\"https://me:hunter2@a.example\"]\n").unwrap_err().to_string();
    assert!(told.contains("credentials do not belong") && !told.contains("hunter2"), "{told}");
}
