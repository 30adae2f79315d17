//! A strict reader of the HTML that our templates write: stricter than a browser, which forgives everything.

/// An opening tag.
pub struct Tag {
    pub name: String,
    pub attributes: Vec<(String, String)>,
}

impl Tag {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

enum Piece<'a> {
    Text(&'a str),
    Open(Tag),
    /// Self-closed, as in SVG.
    Empty(Tag),
    Close(&'a str),
}

/// HTML's elements without an end (§13.1.2 of the standard).
const VOID: [&str; 6] = ["meta", "link", "br", "hr", "img", "input"];
/// What may stand inside a paragraph: anything else would end it.
const PHRASING: [&str; 9] = ["a", "abbr", "code", "span", "strong", "em", "time", "svg", "path"];

/// Every element is closed in order, attributes are quoted and unique, `&` is escaped, there is one `h1`, headings
/// skip no level, the language is said, and the landmarks are there.
pub fn check(page: &str) {
    assert!(page.starts_with("<!DOCTYPE html>"), "{page}");
    let pieces = pieces(page);
    let mut open: Vec<String> = Vec::new();
    let mut level = 0;
    let mut headings = Vec::new();
    for piece in &pieces {
        match piece {
            Piece::Text(text) => check_text(text, open.last().map(String::as_str)),
            Piece::Open(tag) => {
                check_tag(tag, &open);
                if let Some(next) = tag.name.strip_prefix('h').and_then(|n| n.parse::<u8>().ok()) {
                    assert!(next <= level + 1, "h{next} after h{level}");
                    level = next;
                    headings.push(next);
                }
                if !VOID.contains(&tag.name.as_str()) {
                    open.push(tag.name.clone());
                }
            }
            Piece::Empty(tag) => check_tag(tag, &open),
            Piece::Close(name) => assert_eq!(open.pop().as_deref(), Some(*name), "in {page}"),
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    assert_eq!(headings.iter().filter(|level| **level == 1).count(), 1, "one h1");
    let tags = tags(page);
    let count = |name: &str| tags.iter().filter(|tag| tag.name == name).count();
    assert!(matches!(tags[0].attribute("lang"), Some("fr" | "en")) && tags[0].name == "html");
    assert_eq!((count("title"), count("body")), (1, 1));
    if count("style") == 1 {
        assert_eq!((count("header"), count("main"), count("footer")), (1, 1, 1), "landmarks");
        assert!(tags.iter().any(|tag| tag.attribute("name") == Some("viewport")), "readable on a phone");
    }
}

fn check_tag(tag: &Tag, open: &[String]) {
    let mut names: Vec<&str> = tag.attributes.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), tag.attributes.len(), "an attribute twice in {}", tag.name);
    if open.last().is_some_and(|parent| parent == "p") {
        assert!(PHRASING.contains(&tag.name.as_str()), "<{}> would end the paragraph", tag.name);
    }
    match tag.name.as_str() {
        "li" => assert!(matches!(open.last().map(String::as_str), Some("ul" | "ol"))),
        "svg" => assert_eq!(tag.attribute("aria-hidden"), Some("true"), "a drawing without text"),
        "a" => {
            assert!(tag.attribute("href").is_some_and(|href| !href.is_empty() && !href.contains(char::is_whitespace)))
        }
        _ => {}
    }
    tag.attributes.iter().for_each(|(_, value)| check_escapes(value));
}

fn check_text(text: &str, parent: Option<&str>) {
    if parent != Some("style") {
        assert!(!text.contains('>'), "a bare > in {text:?}");
        check_escapes(text);
    }
}

fn check_escapes(text: &str) {
    for (at, _) in text.match_indices('&') {
        let entity = text[at + 1..].split(';').next().unwrap_or("");
        let known = ["amp", "lt", "gt", "quot", "nbsp"].contains(&entity)
            || entity.strip_prefix('#').is_some_and(|n| n.parse::<u32>().is_ok());
        assert!(known, "a bare & in {text:?}");
    }
}

pub fn tags(page: &str) -> Vec<Tag> {
    let tag = |piece| match piece {
        Piece::Open(tag) | Piece::Empty(tag) => Some(tag),
        Piece::Text(_) | Piece::Close(_) => None,
    };
    pieces(page).into_iter().filter_map(tag).collect()
}

/// What a person reads, entities resolved.
pub fn text(page: &str) -> String {
    let (_, body) = page.split_once("</style>").unwrap_or(("", page));
    let mut out = String::new();
    for piece in pieces(body) {
        if let Piece::Text(text) = piece {
            out.push_str(&text.replace("&nbsp;", "\u{a0}").replace("&#8239;", "\u{202f}").replace("&#39;", "'"));
        }
    }
    out
}

fn pieces(page: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").unwrap_or(page);
    while let Some(start) = rest.find('<') {
        pieces.push(Piece::Text(&rest[..start]));
        let end = start + rest[start..].find('>').expect("a tag ends");
        pieces.push(tag(&rest[start + 1..end]));
        rest = &rest[end + 1..];
    }
    pieces.push(Piece::Text(rest));
    pieces
}

fn tag(inside: &str) -> Piece<'_> {
    if let Some(name) = inside.strip_prefix('/') {
        return Piece::Close(name);
    }
    let (inside, empty) = inside.strip_suffix('/').map_or((inside, false), |inside| (inside, true));
    let (name, mut rest) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
    assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()), "<{inside}>");
    let mut attributes = Vec::new();
    while !rest.trim().is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("unquoted attribute in <{inside}>"));
        let (value, after) = after.split_once('"').expect("a quote is closed");
        attributes.push((name.trim().to_owned(), value.to_owned()));
        rest = after;
    }
    let tag = Tag { name: name.to_owned(), attributes };
    if empty { Piece::Empty(tag) } else { Piece::Open(tag) }
}
