//! Public names of encrypted ClientHellos (RFC 9849 §4): who bears one in clear beside an encrypted one hides another.
//!
//! The keys change every few hours and our DNS sees those of the names that it is asked; who has them from elsewhere shows the
//! same few public names all the same.

use std::collections::HashSet;

use super::written::Texts;
use crate::access::HostName;
use crate::config::written::{At, Document};

/// Those that many devices meet, or that try it out.
const KNOWN: [&str; 3] = [
    // Every site behind Cloudflare: developers.cloudflare.com/ssl/edge-certificates/ech.
    "cloudflare-ech.com",
    // Pages that tell their visitors whether it works.
    "public.tls-ech.dev",
    "cover.defo.ie",
];

/// The known ones, and those that the policy adds.
#[derive(Debug)]
pub(super) struct PublicNames(HashSet<HostName>);

impl PublicNames {
    pub fn new(written: Option<&At<Texts>>, document: &mut Document<'_>) -> PublicNames {
        let mut names: HashSet<HostName> = KNOWN.iter().filter_map(|name| HostName::parse(name).ok()).collect();
        for At { value, span } in written.into_iter().flat_map(|at| &at.value) {
            match HostName::parse(value) {
                Ok(name) => drop(names.insert(name)),
                Err(error) => {
                    document.problem(span, format!("`{value}` is no host name: {error}"), "as in \"ech.example\"")
                }
            }
        }
        PublicNames(names)
    }

    pub fn contains(&self, name: &HostName) -> bool {
        self.0.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_one() {
        let names = PublicNames::new(None, &mut Document::new(std::path::Path::new("policy.toml"), ""));
        assert_eq!(names.0.len(), KNOWN.len());
    }
}
