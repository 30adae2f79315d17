//! The language of a page.

/// French, unless the browser prefers English.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    #[default]
    French,
    English,
}

impl Language {
    /// From the `Accept-Language` field (RFC 9110 §12.5.4). English only where its quality is above that of French;
    /// a browser that asks for neither, or for anything, gets French.
    pub fn from_accept_language(field: Option<&str>) -> Language {
        let field = field.unwrap_or("");
        let any = quality(field, "*").unwrap_or(0);
        let french = quality(field, "fr").unwrap_or(any);
        match quality(field, "en") {
            Some(english) if english > french => Language::English,
            _ => Language::French,
        }
    }

    /// The language tag of BCP 47, for `lang` and `Content-Language`.
    pub fn tag(self) -> &'static str {
        match self {
            Language::French => "fr",
            Language::English => "en",
        }
    }
}

/// Thousandths; the best of the ranges that name the language (`fr`, `fr-CA`).
fn quality(field: &str, language: &str) -> Option<u16> {
    field.split(',').filter_map(range).filter(|(tag, _)| names(tag, language)).map(|(_, quality)| quality).max()
}

fn names(tag: &str, language: &str) -> bool {
    let primary = tag.split('-').next().unwrap_or(tag);
    primary.eq_ignore_ascii_case(language)
}

/// `fr-FR;q=0.8` is (`fr-FR`, 800). A range whose weight cannot be read is left out.
fn range(text: &str) -> Option<(&str, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let tag = parts.next().filter(|tag| !tag.is_empty())?;
    for parameter in parts {
        if let Some(weight) = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")) {
            let weight: f32 = weight.trim().parse().ok().filter(|weight| (0.0..=1.0).contains(weight))?;
            return Some((tag, (weight * 1000.0).round() as u16));
        }
    }
    Some((tag, 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(field: &str, expected: Language) {
        assert_eq!(Language::from_accept_language(Some(field)), expected, "{field}");
    }

    #[test]
    fn french_unless_english_is_preferred() {
        assert_eq!(Language::from_accept_language(None), Language::French);
        check("", Language::French);
        check("fr-FR,fr;q=0.9,en-US;q=0.8,en;q=0.7", Language::French);
        check("en-US,en;q=0.9,fr;q=0.8", Language::English);
        check("en-GB, fr-FR", Language::French);
        check("EN", Language::English);
        check("de,en;q=0.5", Language::English);
        check("de,en;q=0.5,*;q=0.6", Language::French);
        check("ar, es;q=0.9", Language::French);
        check("fr;q=0, en;q=0.1", Language::English);
        check("*", Language::French);
    }

    #[test]
    fn a_field_that_makes_no_sense_gives_french() {
        for field in [";;;,,,", "en;q=two", "en;q=-1", "en;q=1e9", "engine", "en_US;q=NaN", "\u{0}", "q=1"] {
            check(field, Language::French);
        }
    }
}
