//! One file per subcommand.
pub mod lists;
