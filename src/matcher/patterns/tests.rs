use super::*;

fn set(texts: &[&str]) -> PatternSet {
    let expression = |(i, text): (usize, &&str)| Expression { text: (*text).to_owned(), list: i as u16, line: 1 };
    PatternSet::new(texts.iter().enumerate().map(expression).collect()).unwrap()
}

fn found(set: &PatternSet, text: &str) -> Vec<usize> {
    let mut lists = Vec::new();
    set.find(text, text.find('/').unwrap_or(text.len()), |list, _| lists.push(list.index()));
    lists.sort_unstable();
    lists
}

#[test]
fn an_expression_matches_whether_or_not_it_has_literals() {
    let set = set(&["(/banner/|/sponsor/)", "^[0-9]+\\.[0-9]+/", "a(b|c)+d\\.exe", "/Ads?/"]);
    assert_eq!(found(&set, "example.fr/sponsor/x"), [0]);
    assert_eq!(found(&set, "1.2/banner/"), [0, 1]);
    assert_eq!(found(&set, "example.fr/abcd.exe"), [2]);
    assert_eq!(found(&set, "example.fr/ad.exe"), [0usize; 0]);
    assert_eq!(found(&set, "example.fr/ads/1"), [3]);
}

#[test]
fn an_expression_that_cannot_be_used_says_why() {
    assert!(matches!(PatternSet::check("(unclosed"), Err(PatternError::Syntax(_))));
    assert_eq!(PatternSet::check(".*"), Err(PatternError::MatchesAll));
    assert_eq!(PatternSet::check("((a{100}){100}){100}"), Err(PatternError::TooLarge));
    assert_eq!(PatternSet::check("/x"), Ok(()));
}

proptest::proptest! {
    #[test]
    fn literals_never_hide_a_match(pattern in "([a-c]{1,3}|\\(([a-c]{1,3}\\|){0,2}[a-c]{1,3}\\)[+*?]?|\\[a-c\\]|/|\\.[*+]?|\\^|\\$){1,5}", text in "[a-c]{0,12}(/[a-c/]{0,4})?") {
        if let Ok(regex) = compile(&pattern) {
            let set = set(&[&pattern]);
            proptest::prop_assert_eq!(!found(&set, &text).is_empty(), regex.is_match(text.as_bytes()));
        }
    }
}
