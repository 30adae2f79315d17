//! What an image says about each of its lists.

use serde::{Deserialize, Serialize};

use crate::access::{CategoryName, ListName};

use super::input::ListInput;
use super::parse::LineKind;

/// What a squidGuard `usage` file says a list is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Usage {
    /// Made to refuse.
    Black,
    /// Made to allow.
    White,
    /// Made for either.
    Both,
}

/// One list: where it comes from and how much of it was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListMeta {
    /// `ut1/adult`, or the source's name where the source is one list.
    pub name: ListName,
    pub category: CategoryName,
    /// Other names of the same list (links in the folder): `ut1/porn`.
    pub aliases: Vec<ListName>,
    /// Where it is fetched from, or the path it was read from.
    pub origin: String,
    pub licence: String,
    pub attribution: String,
    /// The day of its newest file: `2026-08-17`.
    pub source_date: Option<String>,
    pub usage: Option<Usage>,
    /// Distinct entries of any kind.
    pub entries: u64,
    /// Distinct host names and single addresses of a domain list.
    pub names: u64,
    pub urls: u64,
    pub expressions: u64,
    pub networks: u64,
    /// Rules of ad blockers that are more than a host.
    pub rules: u64,
    /// Where its entries of each kind stand.
    pub files: ListFiles,
}

/// The files of a list, as entries name them: `adult/domains`. Empty where it has none of the kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ListFiles {
    /// Host names, addresses and networks.
    pub names: String,
    pub urls: String,
    pub expressions: String,
    /// Rules of ad blockers; those about the whole of a host are `names`.
    pub rules: String,
}

impl ListMeta {
    /// Of a list whose entries nobody has counted.
    pub(super) fn of_input(input: &ListInput) -> ListMeta {
        ListMeta {
            name: input.name.clone(),
            category: input.category.clone(),
            aliases: input.aliases.iter().map(|(name, _)| name.clone()).collect(),
            origin: input.origin.clone(),
            licence: input.licence.clone(),
            attribution: input.attribution.clone(),
            source_date: input.source_date.clone(),
            usage: input.usage,
            entries: 0,
            names: 0,
            urls: 0,
            expressions: 0,
            networks: 0,
            rules: 0,
            files: ListFiles::of_input(input),
        }
    }
}

impl ListFiles {
    fn of_input(input: &ListInput) -> ListFiles {
        let mut files = ListFiles::default();
        for part in &input.parts {
            let places: &mut [&mut String] = match part.kind {
                LineKind::Domain | LineKind::Hosts | LineKind::Network => &mut [&mut files.names],
                LineKind::Url => &mut [&mut files.urls],
                LineKind::Expression => &mut [&mut files.expressions],
                LineKind::Rule => &mut [&mut files.names, &mut files.rules],
            };
            places.iter_mut().for_each(|place| (*place).clone_from(&part.file));
        }
        files
    }
}
