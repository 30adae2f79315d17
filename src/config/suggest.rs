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

/// How many letters are wrong, missing, too many or swapped with their neighbour (optimal string alignment), upper and
/// lower case alike.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let (mut before, mut above): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=b.len()).collect());
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let substituted = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = substituted.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_proposed_and_a_far_one_gets_the_list() {
        assert_eq!(did_you_mean("explicite", ["explicit", "transparent"]), "did you mean `explicit`?");
        assert_eq!(did_you_mean("Eleve", ["eleves", "enseignants"]), "did you mean `eleves`?");
        assert_eq!(did_you_mean("adlut", ["adult", "audio"]), "did you mean `adult`?");
        assert_eq!(did_you_mean("zzz", ["eleves", "adult"]), "one of: adult, eleves");
        assert_eq!(did_you_mean("zzz", []), "there is none to choose from");
    }
}
