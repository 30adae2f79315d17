//! The gateway's own pages: `http://ecluse.internal/…`, and what a client gets that takes us for a web server.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ::http::{Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::access::{Access, Host, HostSource, Target, Visit};
use crate::config::Recipients;

use super::Snapshot;
use super::answer::{self, Failure, InformationPage, ListCredit, Retention, SetupPage};
use super::body::ReplyBody;
use super::connection::ClientConnection;
use super::reply::{Reply, and_close};

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
    Access {
        client: Arc::new(connection.identify(snapshot)),
        target: nowhere(),
        method: request.method().as_str().into(),
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
    let _ = (rules, Failure::Ours, Recipients::Nobody);
    answer::information_page(&InformationPage {
        school: reply.school(),
        language: reply.language(),
        groups: &[],
        retention: Retention {
            accesses_days: config.retention.accesses_days,
            connections_days: config.retention.connections_days,
        },
        persons_kept: config.persons.recipients != Recipients::Nobody,
        paths_kept: false,
        inspection: false,
        never_inspected: &[],
        help_lines: &[],
        lists: &[] as &[ListCredit<'_>],
        rules_version: rules.version().as_str(),
    })
}
