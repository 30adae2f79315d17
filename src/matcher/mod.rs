//! Immutable sets of hosts, URLs, patterns and addresses.
