//! The numbers of the sets of lists.

use std::collections::HashMap;

use crate::matcher::names::line::MAX_SET;
use crate::matcher::{ListId, ListMatches, MAX_LISTS, SetNumber};

use super::CompileError;

/// Every distinct set, numbered as it comes up; number 0 is the empty one.
pub struct SetNumbers {
    sets: Vec<ListMatches>,
    numbers: HashMap<ListMatches, SetNumber>,
    /// Most names are in one list.
    single: [SetNumber; MAX_LISTS],
}

impl Default for SetNumbers {
    fn default() -> Self {
        SetNumbers { sets: vec![ListMatches::EMPTY], numbers: HashMap::new(), single: [0; MAX_LISTS] }
    }
}

impl SetNumbers {
    pub fn of_one(&mut self, list: ListId) -> Result<SetNumber, CompileError> {
        match self.single[list.index()] {
            0 => {
                let number = self.of(std::iter::once(list).collect())?;
                self.single[list.index()] = number;
                Ok(number)
            }
            number => Ok(number),
        }
    }

    pub fn of(&mut self, set: ListMatches) -> Result<SetNumber, CompileError> {
        if set.is_empty() {
            return Ok(0);
        }
        if let Some(&number) = self.numbers.get(&set) {
            return Ok(number);
        }
        let number = SetNumber::try_from(self.sets.len()).ok().filter(|&number| number <= MAX_SET);
        let number = number.ok_or(CompileError::TooManySets)?;
        self.sets.push(set);
        self.numbers.insert(set, number);
        Ok(number)
    }

    /// Distinct sets, the empty one not counted.
    pub fn len(&self) -> usize {
        self.sets.len() - 1
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        self.sets.iter().flat_map(|set| set.to_bytes()).collect()
    }
}
