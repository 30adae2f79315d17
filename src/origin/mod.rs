//! Resolve, guard, dial.
