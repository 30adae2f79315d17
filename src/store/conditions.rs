//! What a statement in SQL asks of a row: terms that all must hold, and the values that stand for their question marks.

use super::Filter;

/// Terms joined by AND, over a store's own type of values.
pub(super) struct Conditions<V> {
    pub terms: Vec<String>,
    pub values: Vec<V>,
}

impl<V> Default for Conditions<V> {
    fn default() -> Self {
        Conditions { terms: Vec::new(), values: Vec::new() }
    }
}

impl<V> Conditions<V> {
    pub fn add(&mut self, term: impl Into<String>, values: impl IntoIterator<Item = V>) {
        self.terms.push(term.into());
        self.values.extend(values);
    }

    /// `column` is one of these, each written as `mark`; of none where there are none.
    pub fn any_of(&mut self, column: &str, mark: &str, values: impl IntoIterator<Item = V>) {
        let before = self.values.len();
        self.values.extend(values);
        let marks = vec![mark; self.values.len() - before];
        let is_none = marks.is_empty();
        self.terms.push(if is_none { "FALSE".into() } else { format!("{column} IN ({})", marks.join(", ")) });
    }

    /// The columns of words that a filter names.
    pub fn words(&mut self, filter: &Filter, value: impl Fn(String) -> V) {
        let words = [
            ("college", filter.college.as_ref().map(|c| c.as_str().to_owned())),
            ("category", filter.category.as_ref().map(|c| c.as_str().to_owned())),
            ("rule", filter.rule.as_ref().map(|r| r.as_str().to_owned())),
            ("reference", filter.reference.map(|r| r.to_string())),
            ("device", filter.device.as_deref().map(str::to_owned)),
        ];
        for (column, word) in words {
            if let Some(word) = word {
                self.add(format!("{column} = ?"), [value(word)]);
            }
        }
    }

    pub fn clause(&self) -> String {
        if self.terms.is_empty() { "TRUE".into() } else { self.terms.join(" AND ") }
    }
}
