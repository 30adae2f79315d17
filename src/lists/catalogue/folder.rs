//! A squidGuard folder: a folder for each category, and links that are other names of one.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::access::ListName;

use super::super::Usage;
use super::super::input::{ListInput, Part, PartText};
use super::super::parse::LineKind;
use super::stamp::Stamp;
use super::written::Written;

const FILES: [(&str, LineKind); 3] =
    [("domains", LineKind::Domain), ("urls", LineKind::Url), ("expressions", LineKind::Expression)];
/// UT1 publishes this beside `expressions`, for whoever accepts that it refuses much that is harmless: it is a list and
/// a category of its own, `adult-very-restrictive`.
const RESTRICTIVE: (&str, &str) = ("very_restrictive_expression", "-very-restrictive");

/// The lists of a folder, by name.
pub fn read(path: &Path, written: &Written, stamp: &mut Stamp) -> io::Result<Vec<ListInput>> {
    let mut folders = Vec::new();
    let mut aliases: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        match link_target(path, &entry)? {
            Some(target) => aliases.entry(target).or_default().push(name),
            None if entry.path().is_dir() => folders.push(name),
            None => {}
        }
    }
    folders.sort();
    let mut lists = Vec::new();
    for folder in folders {
        let mut names = aliases.remove(&folder).unwrap_or_default();
        names.sort();
        read_list(path, &folder, &names, written, stamp, &mut lists);
    }
    Ok(lists)
}

/// The folder beside it that a link means. A link to elsewhere is a folder like any other.
fn link_target(path: &Path, entry: &fs::DirEntry) -> io::Result<Option<String>> {
    if !entry.file_type()?.is_symlink() {
        return Ok(None);
    }
    let Ok(target) = entry.path().canonicalize() else { return Ok(None) };
    let beside = target.parent() == path.canonicalize().ok().as_deref() && target.is_dir();
    let name = target.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(name.filter(|_| beside))
}

fn read_list(
    path: &Path,
    folder: &str,
    aliases: &[String],
    written: &Written,
    stamp: &mut Stamp,
    lists: &mut Vec<ListInput>,
) {
    let list_name = |folder: &str| ListName::new(format!("{}/{folder}", written.name));
    let inside = path.join(folder);
    let mut part = |file: &str, kind| {
        let text = inside.join(file);
        let date = text.is_file().then(|| stamp.add_file(&text))?;
        Some((Part { kind, file: format!("{folder}/{file}"), text: PartText::File(text) }, date))
    };
    let found: Vec<(Part, Option<String>)> = FILES.iter().filter_map(|(file, kind)| part(file, *kind)).collect();
    let restrictive = part(RESTRICTIVE.0, LineKind::Expression);
    if !found.is_empty() {
        let mut list = written.input(list_name(folder), written.category_of(folder), path);
        list.aliases = aliases.iter().map(|alias| (list_name(alias), written.category_of(alias))).collect();
        list.usage = usage(&inside);
        list.source_date = found.iter().filter_map(|(_, date)| date.clone()).max();
        list.parts = found.into_iter().map(|(part, _)| part).collect();
        lists.push(list);
    }
    if let Some((part, date)) = restrictive {
        let name = format!("{folder}{}", RESTRICTIVE.1);
        let mut list = written.input(list_name(&name), written.category_of(&name), path);
        (list.usage, list.source_date, list.parts) = (usage(&inside), date, vec![part]);
        lists.push(list);
    }
}

/// The words of the `usage` file; other words than `black` and `white` are names in other languages.
fn usage(folder: &Path) -> Option<Usage> {
    let text = fs::read_to_string(folder.join("usage")).ok()?;
    let says = |word: &str| text.lines().any(|line| line.trim() == word);
    match (says("black"), says("white")) {
        (true, true) => Some(Usage::Both),
        (true, false) => Some(Usage::Black),
        (false, true) => Some(Usage::White),
        (false, false) => None,
    }
}
