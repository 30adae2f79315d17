//! "Did you mean…?"

/// The help line for an unknown word: the nearest known one, else what there is.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    let nearest = known.iter().map(|k| (distance(word, k), *k)).min();
    match nearest {
        None => "there is none to choose from".to_owned(),
        // A third of the letters may be wrong: beyond that the guess is worse than the list.
        Some((d, k)) if d <= k.chars().count().max(3) / 3 => format!("did you mean `{k}`?"),
        Some(_) if known.len() <= 12 => format!("one of: {}", known.join(", ")),
        Some(_) => format!("there are {}: {}…", known.len(), known[..12].join(", ")),
    }
}

/// Levenshtein's distance, upper and lower case alike.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_proposed_and_a_far_one_gets_the_list() {
        assert_eq!(did_you_mean("explicite", ["explicit", "transparent"]), "did you mean `explicit`?");
        assert_eq!(did_you_mean("Eleve", ["eleves", "enseignants"]), "did you mean `eleves`?");
        assert_eq!(did_you_mean("zzz", ["eleves", "adult"]), "one of: adult, eleves");
        assert_eq!(did_you_mean("zzz", []), "there is none to choose from");
    }
}
