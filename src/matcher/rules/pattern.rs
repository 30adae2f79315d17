//! The pattern of a rule: text, `*` for anything, `^` for a separator, `|` and `||` for where it begins and ends.

/// Where a match may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    Anywhere,
    /// `|`: with the URL.
    Start,
    /// `||`: with the host, or one of its labels.
    Label,
}

/// A pattern in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    pub anchor: Anchor,
    /// Between the stars, none of them empty but where the pattern is.
    segments: Vec<Box<[u8]>>,
    starts_with_star: bool,
    /// Whether the match ends with the URL: `|` at the end.
    to_the_end: bool,
}

/// A URL as patterns see it: with `https://` before it, whatever it came by.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    pub url: &'a [u8],
    /// Where the host ends; it begins at [`HOST_AT`].
    pub host_end: usize,
}

/// What stands before the host.
pub const SCHEME: &str = "https://";
pub const HOST_AT: usize = SCHEME.len();

impl Pattern {
    pub fn parse(text: &str) -> Pattern {
        let text = text.to_ascii_lowercase();
        let (anchor, rest) = match (text.strip_prefix("||"), text.strip_prefix('|')) {
            (Some(rest), _) => (Anchor::Label, rest.to_owned()),
            (None, Some(rest)) => (Anchor::Start, rest.replacen("http://", SCHEME, 1)),
            (None, None) => (Anchor::Anywhere, text),
        };
        let (rest, to_the_end) = match rest.strip_suffix('|') {
            Some(rest) => (rest, true),
            None => (rest.as_str(), false),
        };
        let segments: Vec<Box<[u8]>> =
            rest.split('*').filter(|segment| !segment.is_empty()).map(|segment| segment.as_bytes().into()).collect();
        let starts_with_star = rest.starts_with('*');
        Pattern { anchor, segments, starts_with_star, to_the_end: to_the_end && !rest.ends_with('*') }
    }

    /// The host that a `||` pattern names in full, and whether the pattern is no more than that.
    pub fn host(&self) -> Option<(&str, bool)> {
        let first = self.segments.first().filter(|_| self.anchor == Anchor::Label && !self.starts_with_star)?;
        let end = first.iter().position(|b| matches!(b, b'^' | b'/'))?;
        let host = std::str::from_utf8(&first[..end]).ok()?;
        Some((host, self.segments.len() == 1 && *first.get(end..)? == *b"^"))
    }

    /// Up to four bytes that must stand behind the host and the slash after it, for a pattern that names a host in full.
    pub fn after_host(&self) -> &[u8] {
        let (Some((host, _)), Some(first)) = (self.host(), self.segments.first()) else { return &[] };
        let rest = first.get(host.len() + 1..).unwrap_or_default();
        let letters = rest.iter().position(|&b| b == b'^').unwrap_or(rest.len());
        &rest[..letters.min(4)]
    }

    /// The runs of letters that a match holds.
    pub fn runs(&self) -> impl Iterator<Item = &[u8]> {
        let pieces = self.segments.iter().flat_map(|segment| segment.split(|&b| b == b'^'));
        // The scheme is in every text.
        pieces.filter(|piece| *piece != SCHEME.as_bytes())
    }

    /// The runs of letters behind the host that the pattern names in full, where a star stands somewhere behind it: most
    /// URLs of the host hold none of them, and none of these has to be searched for the rest of the pattern.
    pub fn runs_behind_host(&self) -> impl Iterator<Item = &[u8]> {
        let host = self.host().filter(|_| self.segments.len() > 1).map(|(host, _)| host.len());
        let segments = self.segments.iter().enumerate().filter(move |_| host.is_some());
        let behind = segments.map(move |(i, segment)| if i == 0 { &segment[host.unwrap_or(0)..] } else { segment });
        behind.flat_map(|segment| segment.split(|&b| b == b'^'))
    }

    /// Whether it says nothing at all.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Where the literal begins, counted from the pattern's beginning, which may be anywhere in a URL.
    pub fn place_of(&self, literal: &[u8]) -> Option<usize> {
        let plain = self.anchor == Anchor::Anywhere && !self.starts_with_star;
        let first = self.segments.first().filter(|_| plain)?;
        first.windows(literal.len()).position(|window| window == literal)
    }

    /// Whether it matches with its beginning there.
    pub fn matches_from(&self, text: &Text<'_>, at: usize) -> bool {
        self.segments.split_first().is_some_and(|(first, rest)| self.matches_at(text, at, first, rest))
    }

    pub fn matches(&self, text: &Text<'_>) -> bool {
        let Some((first, rest)) = self.segments.split_first() else { return true };
        if self.starts_with_star {
            let from = if self.anchor == Anchor::Label { HOST_AT } else { 0 };
            return self.find_rest(text, from, &self.segments);
        }
        match self.anchor {
            Anchor::Start => self.matches_at(text, 0, first, rest),
            Anchor::Anywhere => places(text.url, 0, first).any(|at| self.matches_at(text, at, first, rest)),
            Anchor::Label => {
                let host = text.url.get(HOST_AT..text.host_end).unwrap_or_default();
                let labels = host.iter().enumerate().filter(|(_, b)| **b == b'.').map(|(dot, _)| HOST_AT + dot + 1);
                std::iter::once(HOST_AT).chain(labels).any(|at| self.matches_at(text, at, first, rest))
            }
        }
    }

    fn matches_at(&self, text: &Text<'_>, at: usize, first: &[u8], rest: &[Box<[u8]>]) -> bool {
        match segment_at(text.url, at, first) {
            // The last segment may have to end with the URL, as this one may not.
            Some(end) if rest.is_empty() => !self.to_the_end || end == text.url.len(),
            Some(end) => self.find_rest(text, end, rest),
            None => false,
        }
    }

    /// The segments one after the other, each as soon as it comes: the last one wants the end of the URL, perhaps.
    fn find_rest(&self, text: &Text<'_>, mut at: usize, segments: &[Box<[u8]>]) -> bool {
        for (i, segment) in segments.iter().enumerate() {
            let is_last = i + 1 == segments.len();
            let mut ends = places(text.url, at, segment).filter_map(|at| segment_at(text.url, at, segment));
            let end = if is_last && self.to_the_end { ends.find(|&end| end == text.url.len()) } else { ends.next() };
            match end {
                Some(end) => at = end,
                None => return false,
            }
        }
        true
    }
}

/// Where the segment may stand, from a place on: wherever its letters before the first separator do.
fn places<'a>(url: &'a [u8], from: usize, segment: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let letters = &segment[..segment.iter().position(|&b| b == b'^').unwrap_or(segment.len())];
    let mut next = from;
    std::iter::from_fn(move || {
        let rest = url.get(next..)?;
        let at = next + if letters.is_empty() { 0 } else { memchr::memmem::find(rest, letters)? };
        next = at + 1;
        Some(at)
    })
}

/// Where the segment ends that stands at `at`.
fn segment_at(url: &[u8], at: usize, segment: &[u8]) -> Option<usize> {
    let mut end = at;
    for &wanted in segment {
        match (url.get(end), wanted) {
            // A separator may be the end of the URL.
            (None, b'^') => {}
            (Some(&found), b'^') if is_separator(found) => end += 1,
            (Some(&found), wanted) if found == wanted => end += 1,
            _ => return None,
        }
    }
    Some(end)
}

fn is_separator(b: u8) -> bool {
    !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'%'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_as_the_syntax_says() {
        for (pattern, url, expected) in [
            ("||example.fr^", "example.fr/", true),
            ("||example.fr^", "www.example.fr/x", true),
            ("||example.fr^", "notexample.fr/", false),
            ("||example.fr^", "example.fr.evil.net/", false),
            ("||example.fr^", "a.net/?example.fr/", false),
            ("||example.fr/ads/", "www.example.fr/ads/1", true),
            ("||ads.", "ads.example.fr/", true),
            ("||ads.", "www.ads.example.fr/", true),
            ("||ads.", "roads.example.fr/", false),
            ("/ads.", "ads.example.fr/", true),
            ("/Ads/*/x.js", "a.fr/ads/1/2/x.js", true),
            ("/ads/*/x.js", "a.fr/ads/x.js", false),
            ("-ad^", "a.fr/the-ad?x", true),
            ("-ad^", "a.fr/the-ad", true),
            ("-ad^", "a.fr/the-ads", false),
            ("|http://a.fr/", "a.fr/", true),
            ("|https://a.fr/", "b.fr/?https://a.fr/", false),
            ("://a.fr/", "a.fr/", true),
            (".swf|", "a.fr/x.swf", true),
            (".swf|", "a.fr/x.swf?y", false),
            (".swf|", "a.fr/x.swf/y.swf", true),
            ("*.swf|", "a.fr/x.swf/y.swf", true),
            ("a*b*c", "x.fr/a/b/c", true),
            ("a*c*b", "x.fr/a/b/c", false),
            ("||x.fr*b^", "a.x.fr/b", true),
            ("^b^", "x.fr/b", true),
        ] {
            let text = format!("{SCHEME}{url}");
            let host_end = HOST_AT + url.find(['/', '?']).unwrap_or(url.len());
            let found = Pattern::parse(pattern).matches(&Text { url: text.as_bytes(), host_end });
            assert_eq!(found, expected, "{pattern} {url}");
        }
    }

    proptest::proptest! {
        #[test]
        fn it_matches_as_its_regular_expression(pattern in "(\\|\\||\\|)?[ab/.^*]{0,8}\\|?", url in "[ab]{1,3}(\\.[ab]{1,2}){0,2}/[ab/.]{0,10}") {
            proptest::prop_assume!(pattern.contains(['a', 'b', '/', '.', '^']));
            let text = format!("{SCHEME}{url}");
            let host_end = HOST_AT + url.find('/').unwrap();
            let found = Pattern::parse(&pattern).matches(&Text { url: text.as_bytes(), host_end });
            let (start, rest) = match (pattern.strip_prefix("||"), pattern.strip_prefix('|')) {
                (Some(rest), _) => ("^https://([^/]*\\.)?", rest),
                (None, Some(rest)) => ("^", rest),
                _ => ("", &*pattern),
            };
            let (rest, end) = rest.strip_suffix('|').map_or((rest, ""), |rest| (rest, "$"));
            let body = regex::escape(rest).replace("\\*", ".*").replace("\\^", "([^a-z0-9_.%-]|$)");
            let expected = regex::Regex::new(&format!("{start}{body}{end}")).unwrap().is_match(&text);
            proptest::prop_assert_eq!(found, expected, "{} {}", pattern, url);
        }
    }
}
