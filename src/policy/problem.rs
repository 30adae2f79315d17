//! Lists say what is wrong with them in their own words (they may not know `config`): the same shape, taken over.

use crate::{config, lists};

impl From<lists::Problem> for config::Problem {
    fn from(problem: lists::Problem) -> Self {
        let lists::Problem { file, line, column, what, help } = problem;
        config::Problem { file, line, column, what, help, excerpt: None }
    }
}
