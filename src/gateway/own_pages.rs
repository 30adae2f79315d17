//! The gateway's own pages: `http://ecluse.internal/…`, and what a client gets that takes us for a web server.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ::http::{Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::access::{Access, Client, Host, HostSource, Target, Timestamp, Visit};
use crate::config::Recipients;
use crate::lists::ListMeta;
use crate::policy::{RefusedCategory, Ruleset};

use super::Snapshot;
use super::answer::{self, GroupFiltering, InformationPage, ListCredit, Refused, Retention, SetupPage};
use super::body::ReplyBody;
use super::connection::ClientConnection;
use super::reply::{Reply, and_close, words};

/// Always this gateway: explicit, transparent, and in our DNS.
const OWN_NAME: &str = "ecluse.internal";
pub const INFORMATION_URL: &str = "http://ecluse.internal/information";

pub fn is_ours(host: &Host) -> bool {
    host.name().is_some_and(|name| name.as_str() == OWN_NAME)
}

/// `http://ecluse.internal/…`.
pub fn serve(
    connection: &ClientConnection,
    snapshot: &Snapshot,
    reply: &Reply<'_>,
    request: &Request<Incoming>,
) -> Response<ReplyBody> {
    let mut access = access_to_nothing(connection, snapshot, request);
    if let Ok(host) = Host::parse(OWN_NAME) {
        access.target = Target::http(host, 80, request.uri().path());
    }
    match request.uri().path() {
        "/" | "/information" => reply.own_page(&access, StatusCode::OK, information(snapshot, reply)),
        _ => reply.own_page(&access, StatusCode::NOT_FOUND, information(snapshot, reply)),
    }
}

/// Origin form on the proxy's port: how to set the proxy; `/information` is served here too.
pub fn setup(
    connection: &ClientConnection,
    snapshot: &Snapshot,
    reply: &Reply<'_>,
    request: &Request<Incoming>,
) -> Response<ReplyBody> {
    let access = access_to_nothing(connection, snapshot, request);
    if request.uri().path() == "/information" {
        return reply.own_page(&access, StatusCode::OK, information(snapshot, reply));
    }
    let text = answer::setup_page(&SetupPage {
        school: reply.school(),
        language: reply.language(),
        proxy_host: &connection.local.ip().to_string(),
        proxy_port: connection.local.port(),
        pac_url: None,
        information_url: "/information",
    });
    and_close(reply.own_page(&access, StatusCode::BAD_REQUEST, text))
}

/// The access of a request that names no origin: it has its row all the same.
pub fn access_to_nothing(connection: &ClientConnection, snapshot: &Snapshot, request: &Request<Incoming>) -> Access {
    access_of_nothing(connection, snapshot, request.method().as_str())
}

/// The same where not even the method is known.
pub fn access_of_nothing(connection: &ClientConnection, snapshot: &Snapshot, method: &str) -> Access {
    Access {
        client: Arc::new(connection.identify(snapshot)),
        target: nowhere(),
        method: method.into(),
        visit: Visit::Unknown,
        start: connection.gateway.clock.now(),
    }
}

fn nowhere() -> Target {
    let mut target = Target::http(Host::Address(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), 0, "");
    target.host_source = HostSource::Address;
    target
}

/// Whether an access names no origin.
pub fn is_nowhere(target: &Target) -> bool {
    target.port == 0
}

/// The information of persons, from the configuration and the rules in force.
fn information(snapshot: &Snapshot, reply: &Reply<'_>) -> String {
    let (rules, config) = (&snapshot.rules, &snapshot.config);
    let language = words(reply.language());
    let refused: Vec<Vec<RefusedCategory<'_>>> =
        rules.groups().iter().map(|group| rules.refused_categories(&group.name)).collect();
    let refused: Vec<Vec<Refused<'_>>> = refused
        .iter()
        .map(|refused| refused.iter().map(|r| Refused { label: r.category.label(language), hours: &r.hours }).collect())
        .collect();
    let groups: Vec<GroupFiltering<'_>> = rules
        .groups()
        .iter()
        .zip(&refused)
        .map(|(group, refused)| GroupFiltering { label: group.label(language), refused })
        .collect();
    let never_inspected: Vec<&str> =
        rules.rules_with(|duties| duties.never_inspect).into_iter().map(|rule| rule.label(language)).collect();
    let help_lines: Vec<&str> =
        answer::HELP_LINES.iter().filter(|(_, host)| is_help_line(rules, host)).map(|(label, _)| *label).collect();
    answer::information_page(&InformationPage {
        school: reply.school(),
        language: reply.language(),
        groups: &groups,
        retention: Retention {
            accesses_days: config.retention.accesses_days,
            connections_days: config.retention.connections_days,
        },
        persons_kept: config.persons.recipients != Recipients::Nobody,
        paths_kept: !rules.rules_with(|duties| duties.keep_path).is_empty(),
        // Every consultation is in the trail, but nothing asks for a case yet: the page does not promise it.
        trail_kept: false,
        inspection: snapshot.inspection.is_some() && !rules.rules_with(|duties| duties.inspect).is_empty(),
        antivirus: snapshot.antivirus.is_some()
            && !rules.rules_with(|duties| duties.scan || duties.scan_uploads).is_empty(),
        never_inspected: &never_inspected,
        help_lines: &help_lines,
        lists: &credits(rules.image().lists()),
        rules_version: rules.version().as_str(),
    })
}

/// Whether the rules in force let a host through as a help-line.
fn is_help_line(rules: &Ruleset, host: &str) -> bool {
    let Ok(host) = Host::parse(host) else { return false };
    let nobody = Client::unknown(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    let access = Access {
        client: Arc::new(nobody),
        target: Target::http(host, 80, "/"),
        method: "GET".into(),
        visit: Visit::Unknown,
        start: Timestamp::default(),
    };
    rules.decide_request(&access).duties.help_line
}

/// One line a source: `ut1/adult` and `ut1/drogue` are both UT1's work.
fn credits(lists: &[ListMeta]) -> Vec<ListCredit<'_>> {
    let mut credits: Vec<ListCredit<'_>> = Vec::new();
    for list in lists {
        let source = list.name.as_str().split('/').next().unwrap_or_default();
        if credits.iter().all(|credit| credit.name != source) {
            let date = list.source_date.as_deref();
            credits.push(ListCredit { name: source, attribution: &list.attribution, licence: &list.licence, date });
        }
    }
    credits
}
