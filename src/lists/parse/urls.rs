//! URL lists.

use crate::access::Host;
use crate::matcher::urls::MAX_ENTRY_BYTES;
use crate::matcher::{canonical_path, entry_path, site_of};

use super::names::fault_of;
use super::{Entry, Fault};

/// `example.fr/path`, with or without scheme and default port.
pub fn parse_url(line: &str, sink: &mut dyn FnMut(Entry<'_>)) -> Result<(), Fault> {
    let url = without_scheme(line)?;
    let host_end = url.find(['/', '?', '#', '\\']).unwrap_or(url.len());
    let (authority, rest) = url.split_at(host_end);
    let host = Host::parse(without_port(authority)?).map_err(fault_of)?;
    let host = host.to_text();
    let site = site_of(&host);
    let mut text = site.to_owned();
    canonical_path(rest, &mut text);
    let mut length = site.len() + entry_path(&text[site.len()..]).len();
    if length == site.len() && rest.contains('#') {
        // What follows `#` is never sent. A place inside the first page is that page, by no means all of the site.
        length += 1;
    }
    if length > MAX_ENTRY_BYTES {
        return Err(Fault::new("the URL is too long", "list a shorter beginning of it"));
    }
    sink(Entry::Url { site, text: &text[..length] });
    Ok(())
}

fn without_scheme(line: &str) -> Result<&str, Fault> {
    match line.split_once("://") {
        Some((scheme, rest)) if ["http", "https"].iter().any(|s| scheme.eq_ignore_ascii_case(s)) => Ok(rest),
        Some((scheme, _)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            Err(Fault::new("only http and https URLs are judged", "list the domain if all of it is meant"))
        }
        _ => Ok(line),
    }
}

fn without_port(authority: &str) -> Result<&str, Fault> {
    match authority.rsplit_once(':') {
        Some((host, "" | "80" | "443")) => Ok(host),
        Some((_, port)) if port.bytes().all(|b| b.is_ascii_digit()) => {
            Err(Fault::new("an entry of a list has no port", "write a rule of the policy with `ports` and `hosts`"))
        }
        // IPv6 in brackets, or no host: the next step says.
        _ => Ok(authority),
    }
}
